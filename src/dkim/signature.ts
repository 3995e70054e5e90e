/**
 * DKIM-Signature values (RFC 6376 §3.5, RFC 8301, RFC 8463): text → value, or why it can't be used.
 */
import { trimSpace } from "../lib/text.ts";
import type { Canonicalization } from "./canonical.ts";
import { base64Value, colonList, parseTags, withoutSpace } from "./tags.ts";

export const algorithms = ["rsa-sha256", "ed25519-sha256"] as const;
export type Algorithm = (typeof algorithms)[number];

export interface Signature {
  algorithm: Algorithm;
  signature: Buffer;
  bodyHash: Buffer;
  headers: Canonicalization;
  body: Canonicalization;
  /** Lower-case. */
  domain: string;
  selector: string;
  /** Of the agent or user, `i=`; the signing domain or one below it. Lower-case. */
  identityDomain: string;
  /** Lower-case, "from" among them. */
  signedHeaders: readonly string[];
  /** Octets of the canonical body that are signed; undefined is all of it. */
  bodyLength: number | undefined;
  /** Seconds since 1970. */
  expiresAt: number | undefined;
}

export type ParsedSignature = { signature: Signature } | { domain: string | undefined; problem: string };

/** The first thing that is wrong with it, in words that are the same for every mail. */
export function parseSignature(value: string): ParsedSignature {
  const tags = parseTags(value);
  if (!tags) return { domain: undefined, problem: "not a tag list" };
  const domain = domainName(tags.get("d"));
  const problem = (text: string) => ({ domain, problem: text });

  if (tags.get("v") !== "1") return problem("version is not 1");
  if (domain === undefined) return problem("no signing domain");
  const selector = domainName(tags.get("s"));
  if (selector === undefined) return problem("no selector");

  const named = tags.get("a")?.toLowerCase();
  const algorithm = algorithms.find((each) => each === named);
  if (!algorithm) return problem(named === "rsa-sha1" ? "rsa-sha1 is too weak" : "unknown algorithm");
  const canonicalization = parseCanonicalization(tags.get("c"));
  if (!canonicalization) return problem("unknown canonicalization");
  const queries = tags.get("q");
  if (queries !== undefined && !colonList(queries).includes("dns/txt")) return problem("unknown query method");

  const signature = base64Value(tags.get("b") ?? "");
  if (!signature) return problem("signature is not base64");
  const bodyHash = base64Value(tags.get("bh") ?? "");
  if (bodyHash?.length !== 32) return problem("body hash is not one of SHA-256");

  const signedHeaders = colonList(tags.get("h") ?? "");
  if (signedHeaders.some((name) => !/^[!-9;-~]+$/.test(name))) return problem("header list is malformed");
  if (!signedHeaders.includes("from")) return problem("From is not signed");

  const identity = tags.has("i") ? withoutSpace(tags.get("i") ?? "") : undefined;
  const identityDomain = identity === undefined ? domain : domainName(identity.slice(identity.lastIndexOf("@") + 1));
  if (identityDomain === undefined || !isWithin(identityDomain, domain) || identity?.includes("@") === false) {
    return problem("identity is not of the signing domain");
  }

  const [bodyLength, signedAt, expiresAt] = ["l", "t", "x"].map((name) => wholeNumber(tags.get(name)));
  if ([bodyLength, signedAt, expiresAt].some(Number.isNaN)) return problem("a number is malformed");
  if (signedAt !== undefined && expiresAt !== undefined && expiresAt <= signedAt)
    return problem("expires before it begins");

  return {
    signature: {
      algorithm,
      signature,
      bodyHash,
      ...canonicalization,
      domain,
      selector,
      identityDomain,
      signedHeaders,
      bodyLength,
      expiresAt,
    },
  };
}

/**
 * The text of `b=`, and white space around it, taken out: in this form a signature signs itself
 * (§3.7).
 */
export function withoutSignatureData(value: string): string {
  return value.replace(/((?:^|;)[ \t\r\n]*b[ \t\r\n]*=)[^;]*/, "$1");
}

/**
 * Letters, digits, hyphens and underscores, which selectors and relays' domains have too;
 * lower-case.
 */
export function domainName(text: string | undefined): string | undefined {
  if (text === undefined || text.length > 253) return undefined;
  const name = text.toLowerCase();
  return name.split(".").every((label) => /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/.test(label)) ? name : undefined;
}

const isWithin = (name: string, domain: string) => name === domain || name.endsWith(`.${domain}`);

/** "relaxed" alone is relaxed/simple; nothing is simple/simple. */
function parseCanonicalization(text: string | undefined): Pick<Signature, "headers" | "body"> | undefined {
  const [headers = "", body = "simple", ...more] = (text ?? "simple").toLowerCase().split("/").map(trimSpace);
  return isKind(headers) && isKind(body) && more.length === 0 ? { headers, body } : undefined;
}

const isKind = (text: string): text is Canonicalization => text === "simple" || text === "relaxed";

/** NaN where it is no number. */
function wholeNumber(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const digits = withoutSpace(text);
  return /^[0-9]{1,76}$/.test(digits) ? Number(digits) : Number.NaN;
}
