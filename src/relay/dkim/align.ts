/** What signatures say about where a mail is from (reference §6.7): one must be valid and of exactly the domain in From. */
import { BlockList, isIP } from "node:net";
import type { Verification } from "./verify.ts";

export const replies = {
  noSignature: "554 5.7.1 No DKIM signature found",
  noValidSignature: "554 5.7.1 No valid DKIM signature found",
  keyNotToBeHad: "451 4.7.5 DKIM key can't be looked up now, try again later",
} as const;

export type OriginVerdict =
  | { kind: "pass" }
  | {
      kind: "refuse";
      /** The whole SMTP reply. */
      text: (typeof replies)[keyof typeof replies];
      /** For the log. */
      why: string;
    };

/**
 * Relays without a domain name, `user@[192.0.2.1]`, can't sign. Their proof is the connection: the literal (RFC 5321 §4.1.3) is the IP address
 * that the mail comes from, `client`.
 */
export function isLiteralOf(fromDomain: string, client: string | undefined): boolean {
  const literal = /^\[(?:ipv6:)?([^\]]+)\]$/i.exec(fromDomain)?.[1];
  if (literal === undefined || client === undefined || isIP(literal) === 0 || isIP(client) === 0) return false;
  const one = new BlockList();
  one.addAddress(literal, family(literal));
  return one.check(client, family(client));
}

const family = (address: string) => (isIP(address) === 6 ? "ipv6" : "ipv4");

export function judgeOrigin(fromDomain: string, { found, results }: Verification): OriginVerdict {
  const domain = fromDomain.toLowerCase();
  const aligned = results.filter((each) => each.domain === domain);
  if (aligned.some((each) => each.outcome === "pass")) return { kind: "pass" };
  if (found === 0) return { kind: "refuse", text: replies.noSignature, why: "no signature" };
  const temporary = aligned.find((each) => each.outcome === "temporary");
  if (temporary) return { kind: "refuse", text: replies.keyNotToBeHad, why: temporary.why };
  const why = aligned[0]?.why ?? "no signature of the domain in From";
  return { kind: "refuse", text: replies.noValidSignature, why };
}
