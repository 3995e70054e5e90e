/**
 * Which addresses the relay may connect to. Special-purpose addresses (RFC 6890 and the IANA
 * registries that it began) lead into the cluster, the node or a private network, or nowhere; a
 * stranger's domain or a user's mail must not make the relay connect to one.
 */
import ipaddr from "ipaddr.js";

/** Not to be connected to, as CIDR ranges. */
export const specialNetworks = {
  ipv4: [
    "0.0.0.0/8", // this host (RFC 791)
    "10.0.0.0/8", // private (RFC 1918)
    "100.64.0.0/10", // shared by a provider's customers (RFC 6598)
    "127.0.0.0/8", // loopback
    "169.254.0.0/16", // link-local, metadata services of clouds (RFC 3927)
    "172.16.0.0/12", // private
    "192.0.0.0/24", // protocol assignments (RFC 6890)
    "192.0.2.0/24", // documentation (RFC 5737)
    "192.88.99.0/24", // 6to4 relays, deprecated (RFC 7526)
    "192.168.0.0/16", // private
    "198.18.0.0/15", // benchmarks (RFC 2544)
    "198.51.100.0/24", // documentation
    "203.0.113.0/24", // documentation
    "224.0.0.0/4", // multicast
    "240.0.0.0/4", // reserved, broadcast
  ],
  /** Outside of 2000::/3 nothing is global unicast, except what NAT64 translates (`nat64`). */
  ipv6: [
    "::/3", // unspecified, loopback, IPv4-compatible, IPv4-mapped, local NAT64 (64:ff9b:1::/48), discard-only
    "2001::/23", // protocol assignments: Teredo, ORCHID, benchmarks
    "2001:db8::/32", // documentation
    "2002::/16", // 6to4: its IPv4 address may be any
    "3fff::/20", // documentation (RFC 9637)
    "4000::/2", // not assigned; segment routing (5f00::/16)
    "8000::/1", // not assigned, unique local, link-local, site-local, multicast
  ],
} as const;

/**
 * Stands for an IPv4 address, which decides (RFC 6052). A cluster with IPv6 alone reaches all of
 * IPv4 by it.
 */
export const nat64 = "64:ff9b::/96";

type Range = ReturnType<typeof ipaddr.parseCIDR>;

export interface PeerNetworks {
  /** CIDR ranges that may be connected to although they are special. */
  allowed?: readonly string[];
  /**
   * CIDR ranges or addresses that may not be connected to although they are not special; `allowed`
   * goes before them.
   */
  refused?: readonly string[];
}

/** Whether the relay may connect to an address. */
export type MayConnect = (address: string) => boolean;

/**
 * Whether an address, in its one plain spelling, is in one of these CIDR ranges. Throws for a range
 * that is not one.
 */
export function inNetworks(networks: readonly string[]): (address: string) => boolean {
  const ranges = networks.map(parseRange);
  return (text) => {
    const address = addressIn(text);
    return address !== undefined && ranges.some((range) => isIn(address, range));
  };
}

/** Throws for a range that is not one. */
export function peerRule({ allowed = [], refused = [] }: PeerNetworks = {}): MayConnect {
  const allow = allowed.map(parseRange);
  const refuse = [...specialNetworks.ipv4, ...specialNetworks.ipv6, ...refused].map(parseRange);
  const translated = parseRange(nat64);
  const may: MayConnect = (text) => {
    const address = addressIn(text);
    if (!address) return false;
    if (allow.some((range) => isIn(address, range))) return true;
    if (isIn(address, translated)) return may(address.toByteArray().slice(-4).join("."));
    return !refuse.some((range) => isIn(address, range));
  };
  return may;
}

/** In any other spelling ("10.8", "0x0a000008", with a zone) it is not one. */
const addressIn = (text: string) => (isPlain(text) ? ipaddr.parse(text) : undefined);

const isPlain = (text: string): boolean =>
  text.includes(":") ? !text.includes("%") && ipaddr.IPv6.isValid(text) : ipaddr.IPv4.isValidFourPartDecimal(text);

function parseRange(text: string): Range {
  if (text.includes("/")) return ipaddr.parseCIDR(text);
  const address = ipaddr.parse(text);
  return [address, address.kind() === "ipv4" ? 32 : 128];
}

function isIn(address: ReturnType<typeof ipaddr.parse>, [network, bits]: Range): boolean {
  return address.kind() === network.kind() && address.match(network, bits);
}

export interface IpBlock {
  cidr: string;
  except?: string[];
}

/** The same rule for a NetworkPolicy, as ranges of which one has to match. */
export function peerBlocks({ allowed = [], refused = [] }: PeerNetworks = {}): IpBlock[] {
  const refuse = [...specialNetworks.ipv4, ...specialNetworks.ipv6, ...refused].map(parseRange);
  // of an IPv4 address behind NAT64 nothing counts but the IPv4 address
  const translated = (ranges: readonly Range[]) =>
    ranges.filter(([network]) => network.kind() === "ipv4").map(translatedRange);
  const allow = allowed.map(parseRange);
  const open = ["0.0.0.0/0", "2000::/3", nat64].map(parseRange);
  return [
    ...[...allow, ...translated(allow)].map((range) => ({ cidr: textOf(range) })),
    ...open.flatMap((root) => {
      // what is outside of 2000::/3 is in no block at all
      const apart = textOf(root) === nat64 ? translated(refuse) : refuse;
      if (apart.some((range) => covers(range, root))) return [];
      const inside = apart.filter((range) => covers(root, range));
      const widest = inside.filter((range) => !inside.some((other) => other !== range && coversMore(other, range)));
      const except = [...new Set(widest.map(textOf))];
      return [{ cidr: textOf(root), ...(except.length > 0 && { except }) }];
    }),
  ];
}

const covers = ([network, bits]: Range, [inner, innerBits]: Range): boolean =>
  bits <= innerBits && isIn(inner, [network, bits]);

const coversMore = (outer: Range, inner: Range): boolean => outer[1] < inner[1] && covers(outer, inner);

function translatedRange([network, bits]: Range): Range {
  const prefix = parseRange(nat64)[0].toByteArray().slice(0, 12);
  return [ipaddr.fromByteArray([...prefix, ...network.toByteArray()]), 96 + bits];
}

/** With no bit set behind the prefix. */
function textOf([network, bits]: Range): string {
  const kind = network.kind() === "ipv4" ? ipaddr.IPv4 : ipaddr.IPv6;
  return `${kind.networkAddressFromCIDR(`${network.toString()}/${bits}`).toString()}/${bits}`;
}
