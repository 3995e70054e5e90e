/** The key of a certificate that is about to be ordered, and the request for it (RFC 2986). */
import { createPrivateKey, generateKeyPairSync, webcrypto } from "node:crypto";
import { isAddressLiteral } from "../../api/domain.ts";

/** P-256, in PEM format. */
export const newCertificateKey = (): string =>
  generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ format: "pem", type: "pkcs8" }) as string;

/** In DER. The first name is only shown: what counts are the subject alternative names. */
export async function certificateRequest(names: readonly string[], keyPem: string): Promise<Buffer> {
  // loaded when needed: most of the time nothing is ordered
  await import("reflect-metadata");
  const x509 = await import("@peculiar/x509");
  const key = createPrivateKey(keyPem);
  const isRsa = key.asymmetricKeyType === "rsa";
  const namedCurve = key.asymmetricKeyDetails?.namedCurve === "secp384r1" ? "P-384" : "P-256";
  const algorithm = isRsa
    ? { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" }
    : { name: "ECDSA", namedCurve, hash: namedCurve === "P-384" ? "SHA-384" : "SHA-256" };
  const { subtle } = webcrypto;
  const der = key.export({ format: "der", type: "pkcs8" });
  const privateKey = await subtle.importKey("pkcs8", der, algorithm, true, ["sign"]);
  const { d: _, p: _p, q: _q, dp: _dp, dq: _dq, qi: _qi, ...jwk } = await subtle.exportKey("jwk", privateKey);
  const publicKey = await subtle.importKey("jwk", { ...jwk, key_ops: ["verify"] }, algorithm, true, ["verify"]);
  const alternatives = names.map((value) => ({
    type: isAddressLiteral(value) || value.includes(":") ? ("ip" as const) : ("dns" as const),
    value,
  }));
  const request = await x509.Pkcs10CertificateRequestGenerator.create(
    {
      keys: { privateKey, publicKey },
      signingAlgorithm: algorithm,
      extensions: [new x509.SubjectAlternativeNameExtension(alternatives)],
    },
    webcrypto,
  );
  return Buffer.from(request.rawData);
}
