import type { ChatmailServer } from "../../../api/chatmail-server.ts";
import { signsMail } from "../../../mail/address.ts";
import type { Problem } from "../../problem.ts";
import { addressesOf, bySide, type SeenAddress } from "../addresses.ts";
import type { Seen } from "../seen.ts";
import { type Check, isAtRest, notCreated } from "./check.ts";

export const addressIsKnown: Check = (seen, server) => {
  const addresses = addressesOf(server, seen);
  if (addresses.length > 0) return privateAlone(server, addresses);
  if (!seen.service && isAtRest(server)) return notCreated(server, "Service");
  const cure = {
    LoadBalancer:
      "the cluster has given the Service no address; without a load balancer, or with k3s's ServiceLB beside Traefik, set network.exposure to HostPort (with network.web.mode Edge where 80 and 443 are taken) or NodePort",
    NodePort: "the pod's node has no address yet",
    HostPort: "the pod's node has no address yet",
  }[server.spec.network.exposure];
  return { reason: "AddressPending", message: cure };
};

/**
 * A relay for a private network says so by `network.privatePeers`. One whose domain is an address
 * has been given it by a person.
 */
function privateAlone(server: ChatmailServer, addresses: readonly SeenAddress[]): Problem | undefined {
  const { domain } = server.spec;
  const { inside, outside } = bySide(server, addresses);
  if (!signsMail(domain) || outside.length > 0) return undefined;
  const which = `${valuesOf(inside)} ${inside.length === 1 ? "is a private address" : "are private addresses"}`;
  const message = `${which}, at which other relays can't reach ${domain}: set network.addresses to the public ones, or list the network in network.privatePeers if all who use the relay are in it`;
  return { reason: "PrivateAddress", message };
}

/** Where the relay is, and what a person has to know of it. */
export function addressesMessage(server: ChatmailServer, seen: Seen): string {
  const { inside, outside } = bySide(server, addressesOf(server, seen));
  const names = outside.filter(({ type }) => type === "Hostname");
  const notes = [
    ...(names.length > 0 && signsMail(server.spec.domain)
      ? [
          `${valuesOf(names)} is a host name: let ${server.spec.domain} follow it by an ALIAS or ANAME record, if your DNS provider has these (a CNAME record may not stand beside the MX record), or set network.addresses to its fixed addresses`,
        ]
      : []),
    ...(inside.length > 0 ? [`${valuesOf(inside)} is private and in no DNS record`] : []),
  ];
  return [valuesOf(outside), ...notes].filter((text) => text !== "").join("; ");
}

const valuesOf = (addresses: readonly SeenAddress[]) => addresses.map(({ value }) => value).join(", ");
