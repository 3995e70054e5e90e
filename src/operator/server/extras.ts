import type { ChatmailServer } from "../../api/chatmail-server.ts";
import type { Extras } from "../../pod/containers.ts";
import { relayPortsOf } from "../../pod/turn.ts";

/** What runs beside mail. Pure. */
export function extrasOf(server: Pick<ChatmailServer, "spec">, addresses: readonly string[]): Extras {
  return server.spec.services.turn.enabled ? { turn: turnOf(server, addresses) } : {};
}

/** With the outside's address of the pod: the given one, the load balancer's, or that of the node it comes to be on. */
function turnOf(
  { spec: { services, network } }: Pick<ChatmailServer, "spec">,
  addresses: readonly string[],
): NonNullable<Extras["turn"]> {
  const { externalAddress } = services.turn;
  const balanced = network.exposure === "LoadBalancer" ? addresses.find((each) => /^[0-9.]+$/.test(each)) : undefined;
  const address = externalAddress ?? balanced;
  const relayPorts = relayPortsOf(services.turn);
  if (address !== undefined) return { relayPorts, external: { address } };
  if (network.exposure === "LoadBalancer") return { relayPorts };
  return { relayPorts, external: { podField: "status.hostIP" } };
}
