/** A domain's DKIM key as the DNS needs it. */
import { createHash, createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from "node:crypto";
import { promisify } from "node:util";
import { remembered } from "../lib/remembered.ts";

/**
 * RFC 8301 §3.2, and what other chatmail relays use: a longer one would not fit one TXT string more
 * usefully.
 */
const rsaBits = 2048;

/** A new private key, PKCS#8 in PEM. */
export async function makeRsaKey(): Promise<string> {
  const { privateKey } = await promisify(generateKeyPair)("rsa", { modulusLength: rsaBits });
  return privateKey.export({ type: "pkcs8", format: "pem" }) as string;
}

export interface PublicDkimKey {
  /** As in the tag k=. */
  type: "rsa" | "ed25519";
  /** As in the tag p=. */
  base64: string;
}

/**
 * The public key of a private key in PEM; undefined where that is not a key that can sign mail.
 * Requested at each reconcile, and it takes half a millisecond to read.
 */
export const publicDkimKey = remembered(readPublicKey);

function readPublicKey(privateKeyPem: string): PublicDkimKey | undefined {
  const key = readKey(privateKeyPem);
  const der = key?.export({ type: "spki", format: "der" }) as Buffer | undefined;
  if (!key || !der) return undefined;
  if (key.asymmetricKeyType === "rsa") {
    return (key.asymmetricKeyDetails?.modulusLength ?? 0) < 1024
      ? undefined
      : { type: "rsa", base64: der.toString("base64") };
  }
  if (key.asymmetricKeyType !== "ed25519") return undefined;
  // RFC 8463 §4: the 32 octets alone, which end the SubjectPublicKeyInfo
  return { type: "ed25519", base64: der.subarray(-32).toString("base64") };
}

/** Tells keys apart: SHA-256 of the public key, hexadecimal. */
export const dkimFingerprint = ({ type, base64 }: PublicDkimKey): string =>
  createHash("sha256").update(`${type} ${base64}`).digest("hex");

function readKey(privateKeyPem: string): KeyObject | undefined {
  try {
    return createPublicKey(createPrivateKey(privateKeyPem));
  } catch {
    return undefined;
  }
}
