/**
 * Public keys as they stand in the DNS (RFC 6376 §3.6.1, RFC 8301, RFC 8463): text → key, or why it
 * can't be used.
 */
import { createPublicKey, type KeyObject } from "node:crypto";
import { base64Value, colonList, parseTags } from "./tags.ts";

export interface PublicKey {
  type: "rsa" | "ed25519";
  key: KeyObject;
  /** The domain says it is testing DKIM. */
  testing: boolean;
  /** The identity of a signature may not be of a domain below the signing one. */
  noSubdomains: boolean;
}

export type ParsedKey = { key: PublicKey } | { problem: string };

/** RFC 8301 §3.2 refuses shorter ones; longer ones and large exponents only cost us time. */
const rsaBits = { least: 1024, most: 8192 };
const largestExponent = 2n ** 32n;

/**
 * `text` is one TXT record, its strings joined. Quotes in it are passed over: forms for DNS records
 * put them there.
 */
export function parseKeyRecord(text: string): ParsedKey {
  const tags = parseTags(text.replaceAll('"', ""));
  if (!tags) return { problem: "key record is not a tag list" };
  if (tags.has("v") && (tags.get("v") !== "DKIM1" || [...tags.keys()][0] !== "v")) {
    return { problem: "key record is not of DKIM" };
  }
  const data = tags.get("p");
  if (data === undefined) return { problem: "key record has no key" };
  if (data === "") return { problem: "key is revoked" };
  const hashes = tags.get("h");
  if (hashes !== undefined && !colonList(hashes).includes("sha256")) return { problem: "key is not for SHA-256" };
  const services = colonList(tags.get("s") ?? "*");
  if (!services.includes("*") && !services.includes("email")) return { problem: "key is not for mail" };
  const type = tags.get("k")?.toLowerCase() ?? "rsa";
  if (type !== "rsa" && type !== "ed25519") return { problem: "key is of an unknown type" };
  const octets = base64Value(data);
  const key = octets && (type === "rsa" ? rsaKey(octets) : ed25519Key(octets));
  if (!key) return { problem: "key is malformed" };
  const details = key.asymmetricKeyDetails;
  if (type === "rsa") {
    const bits = details?.modulusLength ?? 0;
    if (bits < rsaBits.least) return { problem: "key is too short" };
    if (bits > rsaBits.most || (details?.publicExponent ?? 0n) > largestExponent)
      return { problem: "key is too large" };
  }
  const flags = colonList(tags.get("t") ?? "");
  return { key: { type, key, testing: flags.includes("y"), noSubdomains: flags.includes("s") } };
}

/**
 * SubjectPublicKeyInfo, as everybody publishes it, or the bare RSAPublicKey that the RFC's text
 * names.
 */
function rsaKey(der: Buffer): KeyObject | undefined {
  for (const type of ["spki", "pkcs1"] as const) {
    try {
      const key = createPublicKey({ key: der, format: "der", type });
      return key.asymmetricKeyType === "rsa" ? key : undefined;
    } catch {
      // the other form
    }
  }
  return undefined;
}

/** What stands before the 32 octets of a key in its SubjectPublicKeyInfo (RFC 8410 §4). */
const ed25519Prefix = Buffer.from("302a300506032b6570032100", "hex");

function ed25519Key(octets: Buffer): KeyObject | undefined {
  if (octets.length !== 32) return undefined;
  return createPublicKey({ key: Buffer.concat([ed25519Prefix, octets]), format: "der", type: "spki" });
}
