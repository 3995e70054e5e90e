import { type Reason, reasons, whoActs } from "../../api/reasons.ts";
import type { Outcome } from "../../kube/controller.ts";
import type { Log } from "../../kube/log.ts";
import { stallsAt } from "../server/progress.ts";
import type { World } from "../server/world.ts";
import { applyFleetStatus, applyServers } from "./act.ts";
import { desiredServers } from "./desired.ts";
import type { LiveFleet } from "./fleets.ts";
import { observeFleet } from "./observe.ts";
import { rollbackFrom } from "./rollback.ts";
import type { SeenFleet } from "./seen.ts";
import { fleetStatusOf } from "./status.ts";

/** Servers that are still to be created are created in portions. */
const nextPortionMs = 1_000;

const notedAgainMs = 1_000;

/**
 * Makes the servers that a fleet lists, and adds up the status of all that it has. Safe to repeat
 * after a crash at any line. Deletes nothing, and writes into no server that it has not made.
 */
export async function reconcileFleet(key: string, world: World, log: Log, signal: AbortSignal): Promise<Outcome> {
  const fleet = world.fleets.store.at(key);
  if (!fleet || fleet.metadata.deletionTimestamp) return {};

  let seen = observeFleet(fleet, world);
  const wanted = desiredServers(fleet, seen);
  const done = await applyServers(wanted, world, signal);
  for (const failure of done.failures) log.warn({ failure }, "server of the fleet not applied, retrying");
  if (done.sent.length > 0) {
    log.info({ sent: done.sent, left: done.left }, "servers of the fleet applied");
    seen = observeFleet(fleet, world);
  }

  // What was counted before stands until each server was looked at with the fleet as it is now.
  if (!world.rollouts.isCurrent(world.fleets.groupAt(key))) return { againMs: notedAgainMs };
  const now = world.now();
  seen = { ...seen, rollout: afterFailures(fleet, seen) };
  const status = fleetStatusOf({ fleet, seen, conflicts: wanted.conflicts, done }, now);
  if (await applyFleetStatus(fleet, status, world, signal)) note(fleet, status, world, log);

  const stalls = stallsAt(status.conditions);
  const { again } = seen.rollout.turns;
  const waits = [
    ...(stalls ? [Math.max(0, stalls.getTime() - now.getTime()) + 1_000] : []),
    ...(done.left > 0 ? [nextPortionMs] : []),
    ...(again ? [Math.max(0, again.getTime() - now.getTime()) + 100] : []),
  ];
  return {
    ...(waits.length > 0 && { againMs: Math.min(...waits) }),
    ...(done.failures.length > 0 && { retry: true }),
  };
}

/**
 * Where the fleet is to go back: the status says so first, and from then on its servers have the
 * other image as their target.
 */
function afterFailures(fleet: LiveFleet, { rollout, members }: SeenFleet): SeenFleet["rollout"] {
  const { turns, wanted, rollback } = rollout;
  if (rollback || turns.stopped !== "Failures" || fleet.spec?.rollout?.onFailure !== "Rollback") return rollout;
  const others = members.filter(({ update }) => update === "Waiting" || update === "Failed");
  const back = rollbackFrom(
    wanted,
    others.map(({ server }) => server.status?.relay?.image),
  );
  return back ? { wanted, rollback: back, turns: { ...turns, stopped: undefined } } : rollout;
}

/** Only where Ready is another: counts change all the time. */
function note(fleet: LiveFleet, status: LiveFleet["status"], world: World, log: Log): void {
  const readyOf = (of: LiveFleet["status"]) => of?.conditions?.find(({ type }) => type === "Ready");
  const [before, after] = [readyOf(fleet.status), readyOf(status)];
  if (!after || (before?.status === after.status && before.reason === after.reason)) return;
  const { reason, message } = after;
  log.info({ ready: after.status, reason }, "status of the fleet changed");
  const moving = reason in reasons && whoActs(reason as Reason) === "moving";
  world.events.note(fleet, {
    type: after.status === "True" || moving ? "Normal" : "Warning",
    reason,
    note: message,
  });
}
