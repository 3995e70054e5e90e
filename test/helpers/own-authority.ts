/** A certificate authority that nobody trusts, and one certificate of it. */
import { webcrypto } from "node:crypto";
import { isIP } from "node:net";
import type { KeyPair } from "../../src/certificates/self-signed.ts";

export interface OwnAuthority {
  /** Certificates of the server and of the authority, and the server's key. */
  pair: KeyPair;
  /** DER. */
  authority: Buffer;
  server: Buffer;
  /** DER, SubjectPublicKeyInfo. */
  serverKey: Buffer;
}

/** `domain`: a name or an address. */
export async function makeOwnAuthority(domain: string): Promise<OwnAuthority> {
  await import("reflect-metadata"); // @peculiar/x509 wants it to be there first
  const x509 = await import("@peculiar/x509");
  const signingAlgorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const makeKeys = () => webcrypto.subtle.generateKey(signingAlgorithm, true, ["sign", "verify"]);
  const above = await makeKeys();
  const below = await makeKeys();
  const dates = { notBefore: new Date(Date.now() - 3_600_000), notAfter: new Date(Date.now() + 86_400_000) };
  const issuer = "CN=nobody's authority";
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    ...dates,
    serialNumber: "01",
    name: issuer,
    keys: above as never,
    signingAlgorithm,
    extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
  });
  const server = await x509.X509CertificateGenerator.create({
    ...dates,
    serialNumber: "02",
    issuer,
    subject: `CN=${domain}`,
    publicKey: below.publicKey as never,
    signingKey: above.privateKey as never,
    signingAlgorithm,
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: isIP(domain) ? "ip" : "dns", value: domain }])],
  });
  const exported = async (format: "pkcs8" | "spki", key: webcrypto.CryptoKey) =>
    Buffer.from(await webcrypto.subtle.exportKey(format, key));
  const keyLines = (await exported("pkcs8", below.privateKey)).toString("base64").match(/.{1,64}/g) ?? [];
  return {
    pair: {
      certificatePem: `${server.toString("pem")}\n${authority.toString("pem")}\n`,
      keyPem: ["-----BEGIN PRIVATE KEY-----", ...keyLines, "-----END PRIVATE KEY-----", ""].join("\n"),
    },
    authority: Buffer.from(authority.rawData),
    server: Buffer.from(server.rawData),
    serverKey: await exported("spki", below.publicKey),
  };
}
