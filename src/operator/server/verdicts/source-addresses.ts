/**
 * Whether the relay sees the addresses of its clients. Where a load balancer or the cluster's
 * network puts its own in their place, all of them count as one: limits per client meet everybody
 * at once.
 */
import type { ChatmailServer } from "../../../api/chatmail-server.ts";
import type { Problem } from "../../problem.ts";
import { clientsLevel, type ReportedFigures } from "../../tasks/relay-figures.ts";
import type { Seen } from "../seen.ts";
import { problemByLevel, reportOf } from "./hysteresis.ts";

export function sourceIsHidden(server: ChatmailServer, seen: Pick<Seen, "relay">): Problem | undefined {
  const report = reportOf(seen);
  return problemByLevel(server, {
    type: "AddressesReady",
    level: report && clientsLevel(report),
    problem: { reason: "SourceAddressHidden", message: hidden(report?.clients) },
  });
}

function hidden(clients: ReportedFigures["clients"]): string {
  const families = clients ? [clients.ipv4, clients.ipv6] : [];
  const [most = { accounts: 0, fromOneAddress: 0 }] = families.sort((a, b) => b.fromOneAddress - a.fromOneAddress);
  return `${most.fromOneAddress} of the ${most.accounts} accounts that logged in within a day came from one address when this was found: something in front of the relay hides the addresses of clients, so limits for one client meet all of them. Keep externalTrafficPolicy Local, or set network.proxyProtocol if the load balancer can send it; on k3s use network.exposure HostPort; where all users really are behind one address, nothing is wrong`;
}
