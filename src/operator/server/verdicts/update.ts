/** What is said of the revisions of a relay pod. */
import type { ChatmailServer, ChatmailServerStatus } from "../../../api/chatmail-server.ts";
import { annotations } from "../../../api/names.ts";
import type { Problem } from "../../problem.ts";
import type { Verdict } from "../progress.ts";
import { imageOf, renderedOf } from "../rendered.ts";
import type { PodTurn } from "../revision.ts";
import type { Seen } from "../seen.ts";
import { runsRevision } from "../serving.ts";

/** A revision that failed, or one that is not used yet; undefined where neither is. */
export function updateVerdict(server: ChatmailServer, { turn }: Seen): { failed?: Verdict; waits?: Verdict } {
  return {
    ...(turn?.update.failed && { failed: { status: "False", ...failureText(server, turn) } as const }),
    ...(turn?.waits && { waits: { status: "False", ...turn.waits } as const }),
  };
}

/** What failed, what serves, and what a person can do. */
function failureText({ spec, metadata }: ChatmailServer, { update }: PodTurn): Problem {
  const { failed, kept, next } = update;
  const back = next?.cause === "rollback" ? next : kept?.cause === "rollback" ? kept : undefined;
  const holds = `updatePolicy.onFailure is ${spec.updatePolicy.onFailure}: the pod stays as it is`;
  const retry = `kubectl -n ${metadata.namespace} annotate --overwrite chatmailserver ${metadata.name} ${annotations.retryUpdate}=$(date +%s)`;
  const serves = back
    ? `Revision ${back.revision.id} is used again. Change the spec, or remove the cause and try again: ${retry}`
    : holds;
  return { reason: "UpdateFailed", message: `${failed?.message}. ${serves}` };
}

/** Which pod there is, and which one there is to be. */
export function relayOf(server: ChatmailServer, { pod, statefulSet, turn }: Seen): Pick<ChatmailServerStatus, "relay"> {
  const before = server.status?.relay;
  const rendered = statefulSet && renderedOf(statefulSet);
  const id = rendered?.revision.id;
  const isReady = id !== undefined && runsRevision(pod, id);
  const revision = isReady ? id : before?.revision;
  const previousRevision = revision === before?.revision ? before?.previousRevision : before?.revision;
  const image = pod?.spec?.containers[0]?.image ?? before?.image;
  const version = image && versionOf(image);
  const node = pod?.spec?.nodeName;
  const target = turn?.update.target;
  const isOther = target !== undefined && id !== undefined && target.id !== id;
  const targetImage = isOther ? imageOf(target.template) : undefined;
  const failedRevision = turn?.update.failed?.id;
  const relay = {
    ...(version && { version }),
    ...(image && { image }),
    ...(revision && { revision }),
    ...(previousRevision && { previousRevision }),
    ...(failedRevision && { failedRevision }),
    ...(isOther && { target: target.id }),
    ...(targetImage && { targetImage }),
    ...(node && { node }),
  };
  return Object.keys(relay).length > 0 ? { relay } : {};
}

/** The tag of an image; undefined where it has none. */
export const versionOf = (image: string): string | undefined =>
  /:([A-Za-z0-9_][A-Za-z0-9_.-]{0,127})$/.exec(image.replace(/@.*$/, ""))?.[1];
