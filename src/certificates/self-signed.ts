/**
 * A certificate that vouches for itself: what chatmail clients and relays accept for `_` names and
 * IP addresses.
 */
import { webcrypto } from "node:crypto";
import { isAddressLiteral, isIPv6Literal } from "../api/domain.ts";

export interface KeyPair {
  certificatePem: string;
  keyPem: string;
}

/** Nobody renews by hand what nobody signed: as long as chatmail/relay makes them. */
const livesDays = 36_500;
/** Clocks of clients may be behind. */
const beginsEarlierDays = 1;
const dayMs = 86_400_000;

/** Names that a relay serves; an address literal has no others. */
export function certificateNames(domain: string): string[] {
  return isAddressLiteral(domain) ? [domain] : [domain, `www.${domain}`, `mta-sts.${domain}`];
}

export async function makeSelfSigned(domain: string, now: Date): Promise<KeyPair> {
  // Loaded when needed: most of the time no certificate is made.
  await import("reflect-metadata"); // @peculiar/x509 wants it to be there first
  const x509 = await import("@peculiar/x509");
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  // of an IPv4 address other relays make them with both kinds of name; one of IPv6 is no DNS name
  const texts = isIPv6Literal(domain) ? [] : certificateNames(domain);
  const names = texts.map((value) => ({ type: "dns" as const, value }));
  const addresses = isAddressLiteral(domain) ? [{ type: "ip" as const, value: domain }] : [];
  const { KeyUsageFlags, ExtendedKeyUsage } = x509;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: serialNumber(),
      name: [{ CN: [domain] }],
      notBefore: new Date(now.getTime() - beginsEarlierDays * dayMs),
      notAfter: new Date(now.getTime() + livesDays * dayMs),
      keys: keys as Parameters<typeof x509.X509CertificateGenerator.createSelfSigned>[0]["keys"],
      signingAlgorithm: algorithm,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
        new x509.SubjectAlternativeNameExtension([...names, ...addresses]),
      ],
    },
    webcrypto as Parameters<typeof x509.X509CertificateGenerator.createSelfSigned>[1],
  );
  const key = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64");
  const lines = key.match(/.{1,64}/g) ?? [];
  return {
    certificatePem: `${certificate.toString("pem")}\n`,
    keyPem: ["-----BEGIN PRIVATE KEY-----", ...lines, "-----END PRIVATE KEY-----", ""].join("\n"),
  };
}

/** 16 random bytes as a positive number (RFC 5280 §4.1.2.2). */
function serialNumber(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return Buffer.from(bytes).toString("hex");
}
