/** Who counts as one client: an IPv4 address, or the /64 of an IPv6 one, which is what a provider gives to one household. Pure. */
import { isIPv4, isIPv6 } from "node:net";

/** Undefined where the text is no address. */
export function clientKey(text: string): string | undefined {
  if (isIPv4(text)) return text;
  const address = text.replace(/%.*$/s, "");
  if (!isIPv6(address)) return undefined;
  const groups = groupsOf(address);
  const network = groups.slice(0, 4).map((group) => group.toString(16));
  return mappedIPv4(groups) ?? `${network.join(":")}::/64`;
}

/** Of a client's key, the network that one customer of a provider may have: the /48 of an IPv6 client, the address of an IPv4 one. */
export function networkKey(client: string): string {
  const groups = client.endsWith("::/64") ? client.split(":").slice(0, 3) : [];
  return groups.length === 3 ? `${groups.join(":")}::/48` : client;
}

/** The eight of an IPv6 address. */
function groupsOf(address: string): number[] {
  // a URL has them in hexadecimal throughout
  const [before = "", after] = new URL(`http://[${address}]`).hostname.slice(1, -1).split("::");
  const [first, last] = [numbersIn(before), numbersIn(after ?? "")];
  return [...first, ...Array<number>(8 - first.length - last.length).fill(0), ...last];
}

const numbersIn = (text: string) => (text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16)));

/** Of ::ffff:0:0/96 (RFC 4291 §2.5.5.2). */
function mappedIPv4(groups: readonly number[]): string | undefined {
  const [high = 0, low = 0] = groups.slice(6);
  if (groups.slice(0, 5).some((group) => group !== 0) || groups[5] !== 0xffff) return undefined;
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join(".");
}
