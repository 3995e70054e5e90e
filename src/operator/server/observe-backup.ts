/** What is known of the backups of a server: from what the watches keep. */
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import { childNames, labels } from "../../api/names.ts";
import { type BackupReport, backupReports, type DrillReport, drillReports, type SeenReports } from "./backup-report.ts";
import type { LiveCronJob, LiveJob } from "./live.ts";
import type { Component } from "./resources/child.ts";
import type { World } from "./world.ts";

/** Of the jobs of one CronJob. */
export interface SeenRuns<Report> extends SeenReports<Report> {
  cronJob?: LiveCronJob | undefined;
  jobs: readonly LiveJob[];
}

export interface SeenBackup extends SeenRuns<BackupReport> {
  /** The Secret of the store that the spec names does not exist. */
  missingSecret?: string | undefined;
  /** Undefined where there are none, and were none. */
  drill?: SeenRuns<DrillReport> | undefined;
}

const components = { backup: "backup", drill: "drill" } as const satisfies Record<string, Component>;
const isOf = (component: Component) => (job: LiveJob) => job.metadata.labels?.[labels.component] === component;
export const isBackupJob = (job: LiveJob): boolean => Object.values(components).some((each) => isOf(each)(job));

/** Undefined where none are made, and none were. */
export function observeBackup(
  { metadata: { namespace, name }, spec }: ChatmailServer,
  { stores, otherSecrets, jobsByServer, podsByServer }: World,
): SeenBackup | undefined {
  const names = childNames(name);
  const cronJob = stores.cronJobs.get(namespace, names.backupCronJob);
  const drillCronJob = stores.cronJobs.get(namespace, names.backupDrillCronJob);
  const { destination, drill } = spec.backup;
  if (!cronJob && !drillCronJob && !destination) return undefined;
  const key = `${namespace}/${name}`;
  const [jobs, pods] = [jobsByServer.get(key), podsByServer.get(key)];
  const isThere = (secret: string) => otherSecrets.get(namespace, secret) ?? stores.secrets.get(namespace, secret);
  const missingSecret = [destination?.s3?.credentialsSecretName, drill?.ageIdentitySecretName].find(
    (secret) => secret !== undefined && !isThere(secret),
  );
  return {
    cronJob,
    jobs: jobs.filter(isOf(components.backup)),
    ...backupReports(pods),
    ...(missingSecret !== undefined && { missingSecret }),
    ...((drill ?? drillCronJob) && {
      drill: { cronJob: drillCronJob, jobs: jobs.filter(isOf(components.drill)), ...drillReports(pods) },
    }),
  };
}
