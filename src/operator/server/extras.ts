import type { ChatmailServer } from "../../api/chatmail-server.ts";
import type { Extras } from "../../mail/containers.ts";
import { relayPortsOf } from "../../mail/turn.ts";

/** What runs beside mail, with the outside's address of the pod: the given one, the load balancer's, or that of the node it comes to be on. Pure. */
export function extrasOf(server: ChatmailServer, addresses: readonly string[]): Extras {
  const { services, network } = server.spec;
  if (!services.turn.enabled) return {};
  const { externalAddress } = services.turn;
  const balanced = network.exposure === "LoadBalancer" ? addresses.find((each) => /^[0-9.]+$/.test(each)) : undefined;
  const address = externalAddress ?? balanced;
  const relayPorts = relayPortsOf(services.turn);
  if (address !== undefined) return { turn: { relayPorts, external: { address } } };
  if (network.exposure === "LoadBalancer") return { turn: { relayPorts } };
  return { turn: { relayPorts, external: { podField: "status.hostIP" } } };
}
