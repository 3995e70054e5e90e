import { childNames } from "../../../api/names.ts";
import type { CronJob } from "../../../kube/kinds.ts";
import { drillContainer } from "../../../pod/containers.ts";
import { drillSchedule } from "../backup-time.ts";
import { backupTarget } from "./backup-cron-job.ts";
import { hasOwnAuthority, placeArguments, s3Environment } from "./backup-store.ts";
import { cronJob } from "./job-pod.ts";
import type { PodPlan } from "./pod.ts";

/** Reads the newest backup; the relay and its volume are not needed. Suspended as backups are. */
export function backupDrillCronJob(plan: PodPlan): CronJob {
  const { server } = plan;
  const { domain, backup } = server.spec;
  const target = backupTarget(backup);
  const container = drillContainer(domain, {
    args: placeArguments(target ?? {}, domain),
    ownAuthority: hasOwnAuthority(target ?? {}),
    ...(target?.s3 && { secretEnv: s3Environment(target.s3) }),
    fromVolume: target?.volumeClaim !== undefined,
    // without it the job is suspended
    hasKey: backup.drill !== undefined,
  });
  return cronJob(plan, {
    name: childNames(server.metadata.name).backupDrillCronJob,
    component: "drill",
    schedule: drillSchedule(server),
    container,
    suspend: target === undefined || backup.drill === undefined,
  });
}
