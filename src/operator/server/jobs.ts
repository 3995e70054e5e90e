/** What is read of the Jobs of a server. */
import { eraseJobPrefix, labels, moveJobPrefix } from "../../api/names.ts";
import type { LiveJob } from "./live.ts";

/** It deletes the mail of a server that was deleted, and not what is old. */
export const isEraseJob = ({ metadata }: LiveJob): boolean =>
  metadata.name.startsWith(eraseJobPrefix(metadata.labels?.[labels.server] ?? ""));

/** It copies the volume to another one. */
export const isMoveJob = ({ metadata }: LiveJob): boolean =>
  metadata.name.startsWith(moveJobPrefix(metadata.labels?.[labels.server] ?? ""));

export const isComplete = (job: LiveJob): boolean => has(job, "Complete");
export const isFailed = (job: LiveJob): boolean => has(job, "Failed");
export const hasEnded = (job: LiveJob): boolean => isComplete(job) || isFailed(job);

const has = ({ status }: LiveJob, wanted: string) =>
  status?.conditions?.some(({ type, status: is }) => type === wanted && is === "True") ?? false;
