/** At which addresses a relay is reached, and which of them the outside can use. Pure. */
import { isIP } from "node:net";
import ipaddr from "ipaddr.js";
import type { ChatmailServer, ChatmailServerStatus } from "../../api/chatmail-server.ts";
import { inNetworks } from "../../pod/networks.ts";
import type { Seen } from "./seen.ts";

export type SeenAddress = NonNullable<ChatmailServerStatus["addresses"]>[number];

/**
 * Where clients connect: the addresses of the spec, else those of the load balancer, or of the node
 * that the pod is on.
 */
export function addressesOf(
  { spec: { network } }: Pick<ChatmailServer, "spec">,
  { service, pod }: Pick<Seen, "service" | "pod">,
): SeenAddress[] {
  if (network.addresses) return network.addresses.map((value) => ({ type: "IPAddress", value, from: "Spec" }));
  if (network.exposure === "LoadBalancer")
    return (service?.status?.loadBalancer?.ingress ?? []).flatMap(({ ip, hostname }): SeenAddress[] => {
      if (ip) return [{ type: "IPAddress", value: ip, from: "Service" }];
      return hostname ? [{ type: "Hostname", value: hostname, from: "Service" }] : [];
    });
  const { hostIPs, hostIP } = pod?.status ?? {};
  const ips = hostIPs?.map(({ ip }) => ip) ?? (hostIP ? [hostIP] : []);
  return ips.map((value) => ({ type: "IPAddress", value, from: "Node" }));
}

/**
 * Ranges of ipaddr.js that are used inside of networks. Those for documentation, which tests use,
 * are not among them.
 */
const insideRanges: readonly string[] = ["private", "uniqueLocal", "carrierGradeNat", "linkLocal", "loopback"];

const isPrivate = (address: string) => isIP(address) !== 0 && insideRanges.includes(ipaddr.process(address).range());

/**
 * `outside`: what other relays and clients can connect to. `inside`: private addresses (RFC 1918,
 * 4193, 6598, link-local, loopback), which mean something else in every network and so must not
 * stand in the DNS; those in `network.privatePeers` count as outside, since the relays that matter
 * are in that network.
 */
export function bySide(
  { spec: { network } }: Pick<ChatmailServer, "spec">,
  addresses: readonly SeenAddress[],
): { outside: SeenAddress[]; inside: SeenAddress[] } {
  const isPeer = inNetworks(network.privatePeers ?? []);
  const { inside = [], outside = [] } = Object.groupBy(addresses, ({ value }) =>
    isPrivate(value) && !isPeer(value) ? "inside" : "outside",
  );
  return { outside, inside };
}
