/** Whether a relay pod serves, and since when. Pure. */
import { annotations } from "../../api/names.ts";
import type { LivePod } from "./live.ts";

/** Clients reach it. */
export const isServing = (pod: LivePod | undefined): boolean => readySince(pod) !== undefined;

/** Since when the pod has been ready; undefined where it is not, or is ending. */
export function readySince(pod: LivePod | undefined): Date | undefined {
  if (!pod || pod.metadata.deletionTimestamp) return undefined;
  const ready = pod.status?.conditions?.find(({ type, status }) => type === "Ready" && status === "True");
  return ready && new Date(ready.lastTransitionTime ?? pod.metadata.creationTimestamp ?? 0);
}

/** It is ready, and of this revision. */
export const runsRevision = (pod: LivePod | undefined, id: string): boolean =>
  isServing(pod) && pod?.metadata.annotations?.[annotations.revision] === id;
