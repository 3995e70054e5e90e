/** Mail addresses as this project has them: `local@domain`, or `local@[1.2.3.4]` where the domain is an IPv4 address. */

/** What stands behind the @ of an address of this mail domain. */
export function addressDomain(mailDomain: string): string {
  return /^[0-9.]+$/.test(mailDomain) ? `[${mailDomain}]` : mailDomain;
}

/** The mail domain that an address belongs to ("a@[1.2.3.4]" → "1.2.3.4"), lower-case; undefined where there is not exactly one @ with text on both sides. */
export function mailDomainOf(address: string): string | undefined {
  const parts = address.toLowerCase().split("@");
  const [local, domain] = parts;
  if (parts.length !== 2 || !local || !domain) return undefined;
  const literal = /^\[([0-9.]+)\]$/.exec(domain);
  return literal?.[1] ?? domain;
}

/**
 * Whether a self-signed certificate is what peers and clients expect of this mail domain: `_` names and IP addresses.
 * The same as in api/chatmail-server.ts, without its schemas: with them the relay daemon would hold 12 MB more at rest.
 */
export function hasSelfSignedCertificate(mailDomain: string): boolean {
  return mailDomain.startsWith("_") || addressDomain(mailDomain) !== mailDomain;
}
