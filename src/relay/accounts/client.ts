/**
 * Who counts as one client: an IPv4 address, or the /64 of an IPv6 one, which is what a provider
 * gives to one household. Pure.
 */
import { isIPv4, isIPv6 } from "node:net";
import ipaddr from "ipaddr.js";

/** Undefined where the text is no address. */
export function clientKey(text: string): string | undefined {
  if (isIPv4(text)) return text;
  const plain = text.replace(/%.*$/s, "");
  if (!isIPv6(plain)) return undefined;
  const address = ipaddr.process(plain);
  if (!(address instanceof ipaddr.IPv6)) return address.toString();
  const network = address.parts.slice(0, 4).map((group) => group.toString(16));
  return `${network.join(":")}::/64`;
}

/**
 * Of a client's key, the network that one customer of a provider may have: the /48 of an IPv6
 * client, the address of an IPv4 one.
 */
export function networkKey(client: string): string {
  const groups = client.endsWith("::/64") ? client.split(":").slice(0, 3) : [];
  return groups.length === 3 ? `${groups.join(":")}::/48` : client;
}
