/** A certificate and its key, as a Secret has them. Pure. */
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";

export interface ReadPair {
  certificate: X509Certificate;
  key: KeyObject;
}

/** The pair, or what is wrong with it in one sentence. */
export function readPair(options: { certificatePem: string; keyPem: string }): ReadPair | { problem: string } {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(options.certificatePem);
  } catch {
    return { problem: "tls.crt is no certificate in PEM form" };
  }
  let key: KeyObject;
  try {
    key = createPrivateKey(options.keyPem);
  } catch {
    return { problem: "tls.key is no private key in PEM form" };
  }
  if (!certificate.checkPrivateKey(key)) return { problem: "tls.key is not the key of the certificate in tls.crt" };
  return { certificate, key };
}

/** Hexadecimal, lower-case, without colons. */
export const sha256Of = (certificate: X509Certificate): string =>
  certificate.fingerprint256.replaceAll(":", "").toLowerCase();

/** Key and chain in one text, the key first as Postfix wants it, and nothing else that may stand in such files. */
export function joinedPem({ key }: ReadPair, certificatePem: string): string {
  const chain = certificatePem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return [key.export({ type: "pkcs8", format: "pem" }).toString().trim(), ...chain, ""].join("\n");
}
