/** A run of a CronJob that does not wait for its time. Pure. */
import type { CronJob, Job } from "../../kube/kinds.ts";
import { ownedBy } from "../../kube/object.ts";

/** As `kubectl create job --from=cronjob/…` makes one; it is removed an hour after its end. */
export function jobOf(cronJob: CronJob, suffix: string): Job {
  const { metadata, spec } = cronJob;
  const { labels, annotations } = spec?.jobTemplate?.metadata ?? {};
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: {
      name: `${metadata.name}-now-${suffix}`,
      ...(metadata.namespace !== undefined && { namespace: metadata.namespace }),
      ...(labels && { labels }),
      annotations: { ...annotations, "cronjob.kubernetes.io/instantiate": "manual" },
      ownerReferences: [{ ...ownedBy(cronJob), controller: true }],
    },
    spec: { ...(spec?.jobTemplate.spec as NonNullable<Job["spec"]>), ttlSecondsAfterFinished: 3_600 },
  };
}

export function jobState({ status }: Pick<Job, "status">): "runs" | "done" | { failed: string } {
  const find = (type: string) => status?.conditions?.find((each) => each.type === type && each.status === "True");
  if (find("Complete")) return "done";
  const failed = find("Failed");
  return failed ? { failed: failed.message ?? failed.reason ?? "it failed" } : "runs";
}

/** The counts of the last line of its log; undefined where that is something else. */
export function countsIn(lines: readonly string[]): Record<string, number> | undefined {
  const line = lines.findLast((each) => each.includes('"expiry finished"'));
  if (line === undefined) return undefined;
  const { accounts, accountsRemoved, messages, messagesRemoved, bytesRemoved, failures, seconds } = JSON.parse(
    line,
  ) as Record<string, number>;
  const counts = { accounts, accountsRemoved, messages, messagesRemoved, bytesRemoved, failures, seconds };
  return Object.fromEntries(
    Object.entries(counts).filter((entry): entry is [string, number] => entry[1] !== undefined),
  );
}
