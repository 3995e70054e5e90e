/** A server in the rollout of its group: what it is in it, and whether it is its turn. */
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import { keyOf } from "../../kube/object.ts";
import { isLost } from "./losses.ts";
import { memberState } from "./member.ts";
import { podWaitsFor } from "./pod-waits.ts";
import type { PodTurn, Update } from "./revision.ts";
import type { Seen } from "./seen.ts";
import { targetFor } from "./target.ts";
import { updateOf } from "./update.ts";
import type { World } from "./world.ts";

/** What the pod is to be, by the operator's version and defaults of now. */
export const updateFor = (server: ChatmailServer, seen: Seen, world: World): Update =>
  updateOf(server, seen, targetFor(server, world), world.now());

/** Notes what the server is in its rollout, as the cluster shows it. */
export function noteMember(server: ChatmailServer, seen: Seen, update: Update, world: World): void {
  const { configuration } = targetFor(server, world);
  world.rollouts.note(keyOf(server), {
    group: world.rolloutOf(server),
    labels: server.metadata.labels ?? {},
    state: memberState(server, seen, update, configuration),
    target: update.target.id,
    basis: world.basisOf(server.spec),
  });
}

/** Gives the server its turn, where it needs one and it has come. */
export function takeTurn(server: ChatmailServer, seen: Seen, world: World): PodTurn {
  const update = updateFor(server, seen, world);
  noteMember(server, seen, update, world);
  const { next, needsTurn, waits } = update;
  // what the pod itself waits for is said of the pod
  if (!next || podWaitsFor(server, seen).length > 0 || isLost("volume", server, seen)) return { update, goes: false };
  const says = `revision ${update.target.id} is not yet used`;
  if (waits) return { update, goes: false, waits: { reason: "UpdateWaits", message: `${says}: ${waits.message}` } };
  if (!needsTurn) return { update, goes: true };
  const answer = world.rollouts.ask(keyOf(server));
  if (answer.goes) return { update, goes: true };
  const reason = answer.stopped ? "UpdateStopped" : "UpdateWaits";
  return { update, goes: false, waits: { reason, message: `${says}: ${answer.message}` } };
}
