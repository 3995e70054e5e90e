/**
 * The three kinds of mail domain. No schema here: the relay daemon asks too, and would hold 12 MB
 * more memory with them.
 */

export function isAddressLiteral(domain: string): boolean {
  return /^[0-9.]+$/.test(domain) || isIPv6Literal(domain);
}

/** As a domain is written: without brackets. */
export function isIPv6Literal(domain: string): boolean {
  return /^[0-9a-f]*:[0-9a-f:]*$/.test(domain);
}

/** That of the first IP address among the domains of a relay. */
export function literalFamily(domains: readonly string[]): 4 | 6 | undefined {
  const literal = domains.find(isAddressLiteral);
  return literal === undefined ? undefined : isIPv6Literal(literal) ? 6 : 4;
}

/** `_` names and IP addresses: a self-signed certificate is what peers and clients expect. */
export function isSelfSignedDomain(domain: string): boolean {
  return domain.startsWith("_") || isAddressLiteral(domain);
}
