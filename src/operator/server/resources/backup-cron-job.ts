import { certificateSource } from "../../../api/certificate-source.ts";
import type { ChatmailServer } from "../../../api/chatmail-server.ts";
import { childNames } from "../../../api/names.ts";
import type { Backup } from "../../../api/spec/backup.ts";
import type { CronJob } from "../../../kube/kinds.ts";
import { backupContainer } from "../../../pod/containers.ts";
import { backupSchedule } from "../backup-time.ts";
import { hasOwnAuthority, placeArguments, s3Environment } from "./backup-store.ts";
import { cronJob } from "./job-pod.ts";
import type { PodPlan } from "./pod.ts";

/**
 * Where backups go and for whom they are. Undefined where none are made: the spec names no place,
 * or nobody who could read them.
 */
export function backupTarget({ destination, encryption }: Backup) {
  if (!encryption || (!destination?.s3 && !destination?.volumeClaim)) return undefined;
  return { ...destination, recipients: encryption.ageRecipients };
}

/** One that is not wanted any more is suspended, since the operator deletes nothing. */
export function backupCronJob(plan: PodPlan): CronJob {
  const { server } = plan;
  const { s3 } = server.spec.backup.destination ?? {};
  const container = backupContainer(server.spec.domain, {
    args: argumentsOf(server),
    ...(server.spec.backup.destination?.volumeClaim && { toVolume: true }),
    ownAuthority: hasOwnAuthority({ s3 }),
    ...(s3 && { secretEnv: s3Environment(s3) }),
    turn: server.spec.services.turn.enabled,
    acme: certificateSource(server.spec).source === "ACME",
  });
  return cronJob(plan, {
    name: childNames(server.metadata.name).backupCronJob,
    component: "backup",
    schedule: backupSchedule(server),
    container,
    besideRelay: true,
    suspend: backupTarget(server.spec.backup) === undefined,
  });
}

/** Of the program in the image (src/main/backup.ts). */
function argumentsOf({ metadata, spec: { backup, domain } }: ChatmailServer): string[] {
  const target = backupTarget(backup);
  return [
    ...["create", "--server", metadata.name, "--contents", backup.contents, "--keep", String(backup.keep)],
    ...(target?.recipients ?? []).flatMap((recipient) => ["--recipient", recipient]),
    ...placeArguments(target ?? {}, domain),
  ];
}
