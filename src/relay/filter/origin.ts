/**
 * What signatures say about where a mail is from (chatmail protocol §6): one must be valid and of
 * exactly the domain in From.
 */
import { isIP } from "node:net";
import ipaddr from "ipaddr.js";
import type { Verification } from "../../dkim/verify.ts";

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
 * Relays without a domain name, `user@[192.0.2.1]`, can't sign. Their proof is the connection: the
 * literal (RFC 5321 §4.1.3) is the IP address that the mail comes from, `client`.
 */
export function isLiteralOf(fromDomain: string, client: string | undefined): boolean {
  const literal = /^\[(?:ipv6:)?([^\]]+)\]$/i.exec(fromDomain)?.[1];
  return literal !== undefined && client !== undefined && sameAddress(literal, client);
}

/** In any spelling; an IPv4-mapped one is the IPv4 address. False for what is no address. */
function sameAddress(one: string, other: string): boolean {
  const [first, second] = [one, other].map((text) => (isIP(text) === 0 ? undefined : ipaddr.process(text).toString()));
  return first !== undefined && first === second;
}

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

/** In one word, for the metrics. */
export function resultOf(verdict: OriginVerdict): "pass" | "none" | "temporary" | "fail" {
  if (verdict.kind === "pass") return "pass";
  if (verdict.text === replies.noSignature) return "none";
  return verdict.text === replies.keyNotToBeHad ? "temporary" : "fail";
}
