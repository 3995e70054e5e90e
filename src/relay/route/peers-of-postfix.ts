/**
 * Which servers Postfix's SMTP client may connect to. It looks names up itself and shows each
 * record to `dns-reply` before it uses it, so what is judged is what is connected to; an address in
 * place of a name never gets so far, and is judged with its route.
 */

import type { MayConnect } from "../../pod/networks.ts";
import { unreachableDomain } from "../../pod/postfix.ts";
import { literalAddress } from "./domain.ts";

/**
 * The C library takes such a name for an address: "10.8", "0x0a000008", "167772168". No top-level
 * domain is a number (RFC 3696 §2), so nothing else is lost.
 */
export function isNumericName(name: string): boolean {
  return /(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)\.?$/i.test(name);
}

/**
 * The answer of smtp_dns_reply_filter to a record in text, `NAME TTL CLASS TYPE VALUE`; undefined:
 * it may be used.
 */
export function judgeDnsRecord(text: string, mayConnect: MayConnect): "IGNORE" | undefined {
  const [, , , type = "", ...value] = text.trim().split(/\s+/);
  switch (type.toUpperCase()) {
    case "A":
    case "AAAA":
      return mayConnect(value[0] ?? "") ? undefined : "IGNORE";
    case "MX": {
      const host = value[1] ?? "";
      return isNumericName(host) || host.includes(":") ? "IGNORE" : undefined;
    }
    default:
      return undefined;
  }
}

/**
 * The answer of transport_maps that returns a mail at once, for what stands behind the @;
 * undefined: it may go.
 */
export function refusalOf(behindAt: string, mayConnect: MayConnect): string | undefined {
  if (!behindAt.startsWith("[")) return isNumericName(behindAt) ? `error:${unreachableDomain}` : undefined;
  const address = literalAddress(behindAt);
  return address !== undefined && mayConnect(address) ? undefined : `error:${unreachableDomain}`;
}
