/** All loops of the operator that leads. */
import type { Log } from "../kube/log.ts";
import type { Metrics } from "../lib/metrics.ts";
import { runFleetController } from "./fleet/controller.ts";
import { runServerController } from "./server/controller.ts";
import type { World } from "./server/world.ts";

/** Until the signal is aborted and work in hand has ended. */
export async function runControllers(
  world: World,
  options: { workers: number; log: Log; signal: AbortSignal; metrics?: Metrics },
): Promise<void> {
  const { log, signal, metrics } = options;
  await Promise.all([
    runServerController(world, options),
    world.rsaKeys.run(signal),
    runFleetController(world, { log, signal, ...(metrics && { metrics }) }),
  ]);
}
