/** What a server is in the rollout of its group. Pure. */
import type { ChatmailServer, ChatmailServerStatus } from "../../api/chatmail-server.ts";
import type { MemberState } from "../rollout/gate.ts";
import { renderedOf } from "./rendered.ts";
import type { Update } from "./revision.ts";
import type { Seen } from "./seen.ts";
import { isServing, readySince, runsRevision } from "./serving.ts";

/**
 * Undefined where the rollout does not concern it: it is paused, waits for a person, has never
 * served, or the new version changes nothing of its pod.
 */
export function memberState(
  server: ChatmailServer,
  seen: Pick<Seen, "pod" | "statefulSet">,
  update: Update,
  configuration: string,
): MemberState | undefined {
  if (server.spec.management !== "Managed" || !seen.statefulSet) return undefined;
  const rendered = renderedOf(seen.statefulSet);
  const { failed, next, waits, target } = update;
  const serves = isServing(seen.pod);
  if (failed)
    return failed.cause === "upgrade" && failed.id === target.id ? { is: "Failed", isServing: serves } : undefined;
  if (next?.cause === "upgrade") {
    const isAfter = waits?.until;
    if (waits && !isAfter) return undefined;
    return { is: "Waiting", isServing: serves, ...(isAfter && { notBefore: isAfter }) };
  }
  if (!rendered || rendered.configuration !== configuration || rendered.revision.id !== target.id) return undefined;
  const { id } = rendered.revision;
  const isReady = runsRevision(seen.pod, id);
  const hasServed = isReady || server.status?.relay?.revision === id;
  // its first pod, or one that was not cured in time: it has not served before either
  if (!hasServed && !rendered.good && (rendered.cause === "created" || !update.deadline)) return undefined;
  const deliverable = deliverableOf(server.status);
  const since = isReady ? readySince(seen.pod) : undefined;
  return {
    is: "OnTarget",
    wasServing: rendered.good !== undefined,
    ...(since && { readySince: since }),
    ...(deliverable && { deliverable }),
  };
}

/** As its condition says; undefined where nobody knows. */
function deliverableOf(status: ChatmailServerStatus | undefined): { is: boolean; since: Date } | undefined {
  const condition = status?.conditions?.find(({ type }) => type === "Deliverable");
  if (!condition || condition.status === "Unknown") return undefined;
  return { is: condition.status === "True", since: new Date(condition.lastTransitionTime) };
}
