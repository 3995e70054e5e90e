/** Mail addresses as this project has them: `local@domain`, or `local@[1.2.3.4]` where the domain is an IPv4 address. */
import { isAddressLiteral } from "../api/domain.ts";

/** What stands behind the @ of an address of this mail domain. */
export function addressDomain(mailDomain: string): string {
  return isAddressLiteral(mailDomain) ? `[${mailDomain}]` : mailDomain;
}

/** The mail domain that an address belongs to ("a@[1.2.3.4]" → "1.2.3.4"), lower-case; undefined where there is not exactly one @ with text on both sides. */
export function mailDomainOf(address: string): string | undefined {
  const parts = address.toLowerCase().split("@");
  const [local, domain] = parts;
  if (parts.length !== 2 || !local || !domain) return undefined;
  const literal = /^\[([0-9.]+)\]$/.exec(domain);
  return literal?.[1] ?? domain;
}
