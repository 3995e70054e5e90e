/** The last run of a CronJob, where it failed. Pure. */
import type { LiveCronJob, LiveJob } from "../live.ts";

export interface FailedRun {
  /** Name of the job. */
  job: string;
  at: string;
  message?: string | undefined;
}

/** Undefined where a run has succeeded since. */
export function lastFailure(cronJob: LiveCronJob | undefined, jobs: readonly LiveJob[]): FailedRun | undefined {
  const succeeded = cronJob?.status?.lastSuccessfulTime;
  return jobs
    .flatMap(({ metadata, status }) =>
      (status?.conditions ?? [])
        .filter(({ type, status: is }) => type === "Failed" && is === "True")
        .map(({ lastTransitionTime = "", message }) => ({ job: metadata.name, at: lastTransitionTime, message })),
    )
    .filter(({ at }) => !succeeded || at > succeeded)
    .sort((a, b) => (a.at < b.at ? 1 : -1))[0];
}
