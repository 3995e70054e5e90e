import { isIPv4 } from "node:net";
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import type { Extras } from "../../pod/containers.ts";
import { turnPlanOf } from "../../pod/plan-of.ts";
import { relayPortsOf } from "../../pod/turn.ts";
import type { SeenAddress } from "./addresses.ts";

/** What runs beside mail. Pure. */
export function extrasOf(server: Pick<ChatmailServer, "spec">, addresses: readonly SeenAddress[]): Extras {
  return server.spec.services.turn.enabled ? { turn: turnOf(server, addresses) } : {};
}

/**
 * With the outside's address of the pod: the given one, the load balancer's, or that of the node it
 * comes to be on.
 */
function turnOf(
  { spec: { services, network } }: Pick<ChatmailServer, "spec">,
  addresses: readonly SeenAddress[],
): NonNullable<Extras["turn"]> {
  const address = addresses.find(({ from, value }) => from !== "Node" && isIPv4(value))?.value;
  const relayPorts = relayPortsOf(turnPlanOf(services.turn));
  if (address !== undefined) return { relayPorts, external: { address } };
  if (network.exposure === "LoadBalancer") return { relayPorts };
  return { relayPorts, external: { podField: "status.hostIP" } };
}
