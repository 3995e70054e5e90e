/** What an operator of a test serves on its health port, as the program does (src/main). */
import type { Server } from "node:http";
import type { Metrics } from "../../src/lib/metrics.ts";
import { serveHealth } from "../../src/operator/health.ts";
import { addServerMetrics } from "../../src/operator/server-metrics.ts";
import type { RunningOperator } from "./operator-cluster.ts";

/** `port`: 0 for any that is free. `leads`: whether this replica does, by default always. */
export function serveOperatorMetrics(
  metrics: Metrics,
  { world }: RunningOperator,
  { port = 0, leads = () => true }: { port?: number; leads?: () => boolean } = {},
): Promise<Server> {
  metrics.gauge("chatmail_operator_info", () => [{ labels: { version: "0.0.0" }, value: 1 }]);
  addServerMetrics(metrics, {
    servers: () => world.stores.servers.all(),
    fleets: () => world.fleets.store.all(),
    leads,
    name: "chatmail-operator",
  });
  return serveHealth(port, { ready: () => true, metrics: () => metrics.text() });
}
