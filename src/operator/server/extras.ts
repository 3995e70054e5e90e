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
  const known = addresses.filter(({ from, value }) => from !== "Node" && isIPv4(value)).map(({ value }) => value);
  // a load balancer that tells its addresses in another order must not replace the pod
  const [address] = network.addresses ? known : known.sort();
  const relayPorts = relayPortsOf(turnPlanOf(services.turn));
  if (address !== undefined) return { relayPorts, external: { address } };
  if (network.exposure === "LoadBalancer") return { relayPorts };
  return { relayPorts, external: { podField: "status.hostIP" } };
}
