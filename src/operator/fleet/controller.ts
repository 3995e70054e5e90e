/** When a fleet is worked on, and the loop that does it. */
import { runController } from "../../kube/controller.ts";
import type { Log } from "../../kube/log.ts";
import { from, type Source } from "../../kube/source.ts";
import type { Metrics } from "../../lib/metrics.ts";
import type { World } from "../server/world.ts";
import { keyOfFleet } from "./fleets.ts";
import { reconcileFleet } from "./reconcile.ts";
import { summaryOf } from "./status.ts";

/**
 * Changes of the servers are added up so often at most: a thousand that restart cost their fleet a
 * write every few seconds.
 */
const addUpEveryMs = 2_000;

/** Looks after the fleets until the signal is aborted and work in hand has ended. */
export function runFleetController(
  world: World,
  options: { log: Log; signal: AbortSignal; metrics?: Metrics },
): Promise<void> {
  return runController({
    ...options,
    name: "chatmailfleet",
    workers: 1,
    sources: [from(world.fleets.store), members(world)],
    reconcile: (key, run) => reconcileFleet(key, world, run.log, run.signal),
  });
}

/** Servers, for the fleets that they are in or were in. */
function members({ stores: { servers } }: World): Source {
  return {
    whenFilled: (signal) => servers.whenFilled(signal),
    start: (queue) =>
      servers.listen((change) => {
        const { object } = change;
        const before = change.type === "changed" ? change.before : undefined;
        if (before && summaryOf(before) === summaryOf(object)) return;
        for (const key of new Set([...keyOfFleet(object), ...(before ? keyOfFleet(before) : [])]))
          queue.addAfter(key, addUpEveryMs);
      }),
    sweep: () => {},
  };
}
