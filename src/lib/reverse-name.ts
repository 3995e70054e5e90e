import { isIPv4 } from "node:net";
import ipaddr from "ipaddr.js";

/**
 * The name at which the DNS has that of an address (RFC 1035 §3.5, RFC 3596 §2.5), without a dot at
 * its end.
 */
export function reverseName(address: string): string {
  const bytes = ipaddr.parse(address).toByteArray();
  if (isIPv4(address)) return `${bytes.reverse().join(".")}.in-addr.arpa`;
  const digits = Buffer.from(bytes).toString("hex");
  return `${digits.split("").reverse().join(".")}.ip6.arpa`;
}
