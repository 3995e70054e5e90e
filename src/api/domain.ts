/**
 * The three kinds of mail domain. No schema here: the relay daemon asks too, and would hold 12 MB
 * more memory with them.
 */

export function isAddressLiteral(domain: string): boolean {
  return /^[0-9.]+$/.test(domain);
}

/** `_` names and IP addresses: a self-signed certificate is what peers and clients expect. */
export function isSelfSignedDomain(domain: string): boolean {
  return domain.startsWith("_") || isAddressLiteral(domain);
}
