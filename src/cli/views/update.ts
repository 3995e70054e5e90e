/** Whether a server can be updated now, and what has to be said to the operator. Pure. */
import type { WrittenServer } from "../../api/chatmail-server.ts";
import { annotations } from "../../api/names.ts";

export type UpdateStep =
  | { is: "current" }
  | { is: "set"; annotations: Record<string, string>; revision: string; image?: string }
  | { is: "refused"; why: string };

/** `retry`: a revision that has failed is tried again; any new value does, and this is one. */
export function updateStep(
  { status }: Pick<WrittenServer, "status">,
  { retry, now }: { retry: boolean; now: Date },
): UpdateStep {
  const { target, targetImage, failedRevision } = status?.relay ?? {};
  if (failedRevision !== undefined) {
    const why = `revision ${failedRevision} did not become ready, and is not tried again without --retry: see the reason UpdateFailed`;
    if (!retry) return { is: "refused", why };
    return { is: "set", annotations: { [annotations.retryUpdate]: now.toISOString() }, revision: failedRevision };
  }
  if (target === undefined) return { is: "current" };
  return {
    is: "set",
    annotations: { [annotations.update]: target },
    revision: target,
    ...(targetImage !== undefined && { image: targetImage }),
  };
}

export type UpdateProgress = { is: "done" } | { is: "failed"; why: string } | { is: "under way"; message: string };

/** Of an update to this revision that was begun. */
export function updateProgress({ status }: Pick<WrittenServer, "status">, revision: string): UpdateProgress {
  const find = (type: string) => status?.conditions?.find((each) => each.type === type);
  const stalled = find("Stalled");
  if (status?.relay?.revision === revision && find("Ready")?.status === "True") return { is: "done" };
  if (stalled?.status === "True" && stalled.reason === "UpdateFailed") return { is: "failed", why: stalled.message };
  return { is: "under way", message: find("Reconciling")?.message ?? "the operator has not begun" };
}
