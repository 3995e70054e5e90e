/** Destinations of mail: domains and address literals, as they stand behind the @. */
import { isIPv4, isIPv6 } from "node:net";

/** Lower-case; undefined where there is nothing behind the last @ that mail could be sent to. */
export function destinationOf(address: string): string | undefined {
  const text = address.slice(address.lastIndexOf("@") + 1).toLowerCase();
  return address.includes("@") && (isHostName(text) || literalAddress(text) !== undefined) ? text : undefined;
}

/** "[1.2.3.4]" → "1.2.3.4", "[ipv6:::1]" → "::1". */
export function literalAddress(destination: string): string | undefined {
  const inside = /^\[(?:ipv6:)?([0-9a-f.:]+)\]$/i.exec(destination)?.[1];
  return inside !== undefined && (isIPv4(inside) || isIPv6(inside)) ? inside : undefined;
}

export function isHostName(text: string): boolean {
  return text.length <= 253 && /^[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*$/.test(text);
}

/**
 * `_` names and address literals have self-signed certificates (chatmail protocol §21); by the
 * destination, whatever its MX is called.
 */
export function isUnverified(destination: string): boolean {
  return destination.startsWith("_") || destination.startsWith("[");
}
