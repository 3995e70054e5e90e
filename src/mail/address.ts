/**
 * Mail addresses as this project has them: `local@domain`, or where the domain is an IP address,
 * `local@[1.2.3.4]` and `local@[ipv6:2001:db8::9]`. Clients write all of it in lower case.
 */
import { isAddressLiteral, isIPv6Literal } from "../api/domain.ts";

/** What stands behind the @ of an address of this mail domain. */
export function addressDomain(mailDomain: string): string {
  if (isIPv6Literal(mailDomain)) return `[ipv6:${mailDomain}]`;
  return isAddressLiteral(mailDomain) ? `[${mailDomain}]` : mailDomain;
}

/** A relay whose domain is an address literal has no name at which a key could be looked up. */
export function signsMail(domain: string): boolean {
  return addressDomain(domain) === domain;
}

/**
 * The mail domain that an address belongs to ("a@[1.2.3.4]" → "1.2.3.4", "a@[ipv6:2001:db8::9]" →
 * "2001:db8::9"), lower-case; undefined where there is not exactly one @ with text on both sides.
 * Another spelling of an IPv6 address is another domain.
 */
export function mailDomainOf(address: string): string | undefined {
  const parts = address.toLowerCase().split("@");
  const [local, domain] = parts;
  if (parts.length !== 2 || !local || !domain) return undefined;
  const [, ipv4, ipv6] = /^\[(?:([0-9.]+)|ipv6:([0-9a-f:]+))\]$/.exec(domain) ?? [];
  return ipv4 ?? ipv6 ?? domain;
}

/**
 * What an address looks like that has one spelling and one reading everywhere, in any case: no
 * quotes, no source route, a domain. In the local part dots may stand anywhere: accounts may have
 * such names, and Postfix takes them.
 */
export const addressPattern =
  "[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[a-z0-9_-]+(?:\\.[a-z0-9_-]+)*|\\[[a-z0-9][a-z0-9:._-]{0,60}\\])";
const plain = new RegExp(`^${addressPattern}$`, "i");

/**
 * The address in lower case; undefined where it could be spelt or read in another way. "a@1.2.3.4"
 * is not an address, "a@[1.2.3.4]" is.
 */
export function plainAddress(text: string): string | undefined {
  const address = text.toLowerCase();
  if (text.length > 320 || !plain.test(text) || isAddressLiteral(address.slice(address.indexOf("@") + 1)))
    return undefined;
  return address;
}
