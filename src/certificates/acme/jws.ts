/** How requests to an ACME server are signed (RFC 8555 §6.2, §7.3.4). Pure. */
import { createHash, createHmac, createPrivateKey, createPublicKey, type KeyObject, sign } from "node:crypto";

/** The members of a public key, in the order in which its thumbprint wants them (RFC 7638 §3). */
function jwkOf(key: KeyObject): Record<string, string> {
  const { crv, kty, x, y, e, n } = createPublicKey(key).export({ format: "jwk" }) as Record<string, string>;
  return kty === "RSA" ? { e: e ?? "", kty, n: n ?? "" } : { crv: crv ?? "", kty: kty ?? "", x: x ?? "", y: y ?? "" };
}

/** By which challenges name the account: whoever answers them needs no more than this. */
export const thumbprintOf = (key: KeyObject): string =>
  createHash("sha256")
    .update(JSON.stringify(jwkOf(key)))
    .digest("base64url");

const curves: Readonly<Record<string, { alg: string; hash: string }>> = {
  prime256v1: { alg: "ES256", hash: "sha256" },
  secp384r1: { alg: "ES384", hash: "sha384" },
};

function algorithmOf(key: KeyObject): { alg: string; hash: string } | undefined {
  if (key.asymmetricKeyType === "rsa") return { alg: "RS256", hash: "sha256" };
  return curves[key.asymmetricKeyDetails?.namedCurve ?? ""];
}

/** The private key of an account, or undefined where the text is none that ACME servers accept. */
export function accountKeyIn(pem: string): KeyObject | undefined {
  try {
    const key = createPrivateKey(pem);
    return algorithmOf(key) ? key : undefined;
  } catch {
    return undefined;
  }
}

interface Signed {
  protected: string;
  payload: string;
  signature: string;
}

const encoded = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** `payload`: undefined to read a resource (POST as GET). */
export function signed(
  key: KeyObject,
  header: { nonce: string; url: string; kid?: string | undefined },
  payload: object | undefined,
): Signed {
  const { alg, hash } = algorithmOf(key) ?? { alg: "", hash: "sha256" };
  const { kid, ...rest } = header;
  const head = encoded({ alg, ...rest, ...(kid === undefined ? { jwk: jwkOf(key) } : { kid }) });
  const body = payload === undefined ? "" : encoded(payload);
  const signature = sign(hash, Buffer.from(`${head}.${body}`), { key, dsaEncoding: "ieee-p1363" });
  return { protected: head, payload: body, signature: signature.toString("base64url") };
}

/** What an authority gives by which a new account is tied to one that you have with it. */
export interface ExternalAccount {
  keyId: string;
  hmacKey: Buffer;
}

export function bindingOf({ keyId, hmacKey }: ExternalAccount, key: KeyObject, url: string): Signed {
  const head = encoded({ alg: "HS256", kid: keyId, url });
  const body = encoded(jwkOf(key));
  const signature = createHmac("sha256", hmacKey).update(`${head}.${body}`).digest("base64url");
  return { protected: head, payload: body, signature };
}

/** What answers a challenge (RFC 8555 §8.1, §8.4). */
export function challengeText(token: string, thumbprint: string): { answer: string; record: string } {
  const answer = `${token}.${thumbprint}`;
  return { answer, record: createHash("sha256").update(answer).digest("base64url") };
}
