import { childNames } from "../../../api/names.ts";
import type { CronJob } from "../../../kube/kinds.ts";
import { drillContainer } from "../../../pod/containers.ts";
import { domainFolder, folders } from "../../../pod/layout.ts";
import { drillSchedule } from "../backup-time.ts";
import { backupTarget } from "./backup-cron-job.ts";
import { s3Arguments, s3Environment } from "./backup-store.ts";
import { childLabels, childMeta } from "./child.ts";
import { containerOf, type PodPlan, podBasics, podMeta, podSecurity, volumesFor } from "./pod.ts";

const longestSeconds = 6 * 3_600;

/** Reads the newest backup; the relay and its volume are not needed. Suspended as backups are. */
export function backupDrillCronJob(plan: PodPlan): CronJob {
  const { server } = plan;
  const { domain, backup } = server.spec;
  const target = backupTarget(backup);
  const container = drillContainer(domain, {
    args: [
      ...(target?.s3 ? s3Arguments(target.s3, domain) : []),
      ...(target?.volumeClaim ? ["--folder", domainFolder(folders.backups, domain)] : []),
    ],
    ...(target?.s3 && { secretEnv: s3Environment(target.s3) }),
    fromVolume: target?.volumeClaim !== undefined,
    // without it the job is suspended
    hasKey: backup.drill !== undefined,
  });
  return {
    apiVersion: "batch/v1",
    kind: "CronJob",
    metadata: childMeta(server, childNames(server.metadata.name).backupDrillCronJob, "drill"),
    spec: {
      schedule: drillSchedule(server),
      timeZone: "Etc/UTC",
      concurrencyPolicy: "Forbid",
      suspend: target === undefined || backup.drill === undefined,
      startingDeadlineSeconds: 3_600,
      successfulJobsHistoryLimit: 1,
      failedJobsHistoryLimit: 1,
      jobTemplate: {
        metadata: { labels: childLabels(server, "drill") },
        spec: {
          backoffLimit: 2,
          activeDeadlineSeconds: longestSeconds,
          template: {
            metadata: podMeta(server, "drill"),
            spec: {
              ...podBasics(server),
              restartPolicy: "Never",
              securityContext: { ...podSecurity },
              containers: [containerOf(container, plan)],
              volumes: volumesFor([container], plan),
            },
          },
        },
      },
    },
  };
}
