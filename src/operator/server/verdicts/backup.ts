/** What the status says of backups. Pure. */
import type { ChatmailServer, ChatmailServerStatus } from "../../../api/chatmail-server.ts";
import { s3SecretKeys } from "../../../api/spec/backup.ts";
import { ageIdentityKey } from "../../../pod/layout.ts";
import { backupLateAt, backupSchedule } from "../backup-time.ts";
import type { SeenBackup, SeenRuns } from "../observe-backup.ts";
import type { Verdict } from "../progress.ts";
import { backupTarget } from "../resources/backup-cron-job.ts";
import type { Seen } from "../seen.ts";
import { fine, isAtRest, notCreated } from "./check.ts";
import { lastFailure } from "./last-failure.ts";

/** Undefined where the spec asks for none. */
export function backupVerdict(server: ChatmailServer, { backup }: Seen, now: Date): Verdict | undefined {
  const { destination, encryption } = server.spec.backup;
  if (!backup || (!destination?.s3 && !destination?.volumeClaim)) return undefined;
  if (!encryption)
    return {
      status: "False",
      reason: "BackupUnencrypted",
      message:
        "no backup is made, since backup.encryption.ageRecipients names nobody who could read it: add the public key that age-keygen -y prints",
    };
  if (backup.missingSecret !== undefined)
    return {
      status: "False",
      reason: "BackupSecretMissing",
      message: missingMessage(server, backup.missingSecret),
    };
  const { cronJob } = backup;
  if (!cronJob && isAtRest(server)) return { status: "Unknown", ...notCreated(server, "CronJob") };
  const failure = failureOf(backup);
  if (failure) return { status: "False", reason: "BackupFailed", message: failure };
  const succeeded = cronJob?.status?.lastSuccessfulTime;
  const lateAt = lateAtOf(server, backup);
  if (lateAt && lateAt <= now) {
    const since = succeeded ?? cronJob?.metadata.creationTimestamp;
    return {
      status: "False",
      reason: "BackupLate",
      message: `no backup was made since ${since}, and by its schedule one is due`,
    };
  }
  if (!succeeded)
    return {
      status: "Unknown",
      reason: "BackupNotYetMade",
      message: `the first backup is made at ${backupSchedule(server)} (cron, UTC)`,
    };
  const drill = server.spec.backup.drill && backup.drill && failureOf(backup.drill);
  if (drill) return { status: "False", reason: "BackupDrillFailed", message: drill };
  return { status: "True", ...fine("BackupMade") };
}

function missingMessage({ spec: { backup } }: ChatmailServer, name: string): string {
  return name === backup.destination?.s3?.credentialsSecretName
    ? `there is no Secret ${name}, which backup.destination.s3.credentialsSecretName names: create it with the keys ${s3SecretKeys.accessKeyId} and ${s3SecretKeys.secretAccessKey}`
    : `there is no Secret ${name}, which backup.drill.ageIdentitySecretName names: create it with the key ${ageIdentityKey}, the secret key of age`;
}

/** Of the newest run, where it is newer than the last success. */
function failureOf({ cronJob, jobs, problem, waits }: SeenRuns<unknown>): string | undefined {
  const failure = lastFailure(cronJob, jobs);
  if (failure) return `job ${failure.job} failed: ${problem ?? failure.message ?? "see its logs"}`;
  const active = jobs.find(({ status }) => (status?.active ?? 0) > 0);
  return active && waits !== undefined ? `job ${active.metadata.name} does not start: ${waits}` : undefined;
}

function lateAtOf(server: ChatmailServer, { cronJob }: SeenBackup): Date | undefined {
  const since = cronJob?.status?.lastSuccessfulTime ?? cronJob?.metadata.creationTimestamp;
  return since === undefined ? undefined : backupLateAt(backupSchedule(server), new Date(since));
}

/** When one will be late; undefined where it is already, or nobody knows. */
export function backupDeadline(server: ChatmailServer, { backup }: Seen, now: Date): Date | undefined {
  const lateAt = backup && backupTarget(server.spec.backup) && lateAtOf(server, backup);
  return lateAt && lateAt > now ? lateAt : undefined;
}

/** What the last one has saved; the status remembers it where its pod is gone. */
export function backupOf(
  { status }: Pick<ChatmailServer, "status">,
  { backup }: Pick<Seen, "backup">,
): Pick<ChatmailServerStatus, "backup"> {
  const lastSuccessTime = backup?.cronJob?.status?.lastSuccessfulTime;
  if (lastSuccessTime === undefined) return {};
  const { report } = backup ?? {};
  const said = report && {
    name: report.name,
    bytes: report.size,
    accounts: report.accounts,
    messages: report.messages,
  };
  const drilled = backup?.drill?.cronJob?.status?.lastSuccessfulTime;
  const { name, time: backupTime, accounts } = backup?.drill?.report ?? {};
  const drill = drilled !== undefined && {
    drill: {
      ...status?.backup?.drill,
      ...(name !== undefined && { name, backupTime, accounts }),
      lastSuccessTime: drilled,
    },
  };
  return { backup: { ...status?.backup, ...said, lastSuccessTime, ...drill } };
}
