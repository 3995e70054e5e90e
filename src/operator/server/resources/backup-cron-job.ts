import { certificateSource } from "../../../api/certificate-source.ts";
import type { ChatmailServer } from "../../../api/chatmail-server.ts";
import { childNames } from "../../../api/names.ts";
import type { Backup } from "../../../api/spec/backup.ts";
import type { CronJob } from "../../../kube/kinds.ts";
import { backupContainer } from "../../../pod/containers.ts";
import { domainFolder, folders } from "../../../pod/layout.ts";
import { backupSchedule } from "../backup-time.ts";
import { s3Arguments, s3Environment } from "./backup-store.ts";
import { childLabels, childMeta, selectorLabels } from "./child.ts";
import { containerOf, type PodPlan, podBasics, podMeta, podSecurity, volumesFor } from "./pod.ts";

/** A run that takes longer is stuck. */
const longestSeconds = 6 * 3_600;

/**
 * Where backups go and for whom they are. Undefined where none are made: the spec names no place,
 * or nobody who could read them.
 */
export function backupTarget({ destination, encryption }: Backup) {
  if (!encryption || (!destination?.s3 && !destination?.volumeClaim)) return undefined;
  return { ...destination, recipients: encryption.ageRecipients };
}

/**
 * Reads the volume on the node of the relay pod: it can be mounted on one node only. One that is
 * not wanted any more is suspended, since the operator deletes nothing.
 */
export function backupCronJob(plan: PodPlan): CronJob {
  const { server } = plan;
  const { s3 } = server.spec.backup.destination ?? {};
  const container = backupContainer(server.spec.domain, {
    args: argumentsOf(server),
    ...(server.spec.backup.destination?.volumeClaim && { toVolume: true }),
    ...(s3 && { secretEnv: s3Environment(s3) }),
    turn: server.spec.services.turn.enabled,
    acme: certificateSource(server.spec).source === "ACME",
  });
  return {
    apiVersion: "batch/v1",
    kind: "CronJob",
    metadata: childMeta(server, childNames(server.metadata.name).backupCronJob, "backup"),
    spec: {
      schedule: backupSchedule(server),
      timeZone: "Etc/UTC",
      concurrencyPolicy: "Forbid",
      suspend: backupTarget(server.spec.backup) === undefined,
      startingDeadlineSeconds: 3_600,
      successfulJobsHistoryLimit: 1,
      failedJobsHistoryLimit: 1,
      jobTemplate: {
        metadata: { labels: childLabels(server, "backup") },
        spec: {
          backoffLimit: 2,
          activeDeadlineSeconds: longestSeconds,
          template: {
            metadata: podMeta(server, "backup"),
            spec: {
              ...podBasics(server),
              restartPolicy: "Never",
              securityContext: { ...podSecurity },
              affinity: {
                podAffinity: {
                  requiredDuringSchedulingIgnoredDuringExecution: [
                    {
                      topologyKey: "kubernetes.io/hostname",
                      labelSelector: { matchLabels: selectorLabels(server, "relay") },
                    },
                  ],
                },
              },
              containers: [containerOf(container, plan)],
              volumes: volumesFor([container], plan),
            },
          },
        },
      },
    },
  };
}

/** Of the program in the image (src/main/backup.ts). */
function argumentsOf({ metadata, spec: { backup, domain } }: ChatmailServer): string[] {
  const target = backupTarget(backup);
  return [
    ...["create", "--server", metadata.name, "--contents", backup.contents, "--keep", String(backup.keep)],
    ...(target?.recipients ?? []).flatMap((recipient) => ["--recipient", recipient]),
    ...(target?.s3 ? s3Arguments(target.s3, domain) : []),
    ...(target?.volumeClaim ? ["--folder", domainFolder(folders.backups, domain)] : []),
  ];
}
