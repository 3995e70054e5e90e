/**
 * Certificate authorities of a test, and certificates of them: as authorities make them, or wrong
 * in one way.
 */
import { webcrypto } from "node:crypto";
import type { KeyPair } from "../../src/certificates/self-signed.ts";

const day = 86_400_000;

/** How a key is made. */
export const keyKinds = {
  p256: { name: "ECDSA", namedCurve: "P-256" },
  p384: { name: "ECDSA", namedCurve: "P-384" },
  p521: { name: "ECDSA", namedCurve: "P-521" },
  rsa1024: {
    name: "RSASSA-PKCS1-v1_5",
    modulusLength: 1024,
    publicExponent: new Uint8Array([1, 0, 1]),
    hash: "SHA-256",
  },
  rsa2048: {
    name: "RSASSA-PKCS1-v1_5",
    modulusLength: 2048,
    publicExponent: new Uint8Array([1, 0, 1]),
    hash: "SHA-256",
  },
  rsa4096: {
    name: "RSASSA-PKCS1-v1_5",
    modulusLength: 4096,
    publicExponent: new Uint8Array([1, 0, 1]),
    hash: "SHA-256",
  },
  ed25519: { name: "Ed25519" },
} as const;

export interface Issued {
  /** From, until: days from now. */
  days?: readonly [number, number];
  key?: keyof typeof keyKinds;
  hash?: "SHA-1" | "SHA-256";
  /** What the key is for; both of them by default. */
  usage?: readonly ("server" | "client")[];
  /** Without digitalSignature. */
  onlyEncrypts?: boolean;
  /** The certificate says that it is an authority's. */
  authority?: boolean;
}

interface OfAuthority extends Issued {
  pathLength?: number;
  noAuthority?: boolean;
}

export interface Authority {
  /** One line end at its end. */
  pem: string;
  /** Its public key, as it stands in certificates: of a curve, the point. */
  publicKey: Buffer;
  /** An authority below. */
  below(name: string, how?: OfAuthority): Promise<Authority>;
  /** The certificate alone, without those above it. */
  issue(names: readonly string[], how?: Issued): Promise<KeyPair>;
}

export function makeAuthority(name: string, how: OfAuthority = {}): Promise<Authority> {
  return authorityOf(name, how, undefined);
}

type NameOf = import("@peculiar/x509").JsonName;

interface Signer {
  name: NameOf;
  keys: webcrypto.CryptoKeyPair;
}

async function authorityOf(name: string, how: OfAuthority, above: Signer | undefined): Promise<Authority> {
  const x509 = await library();
  const keys = await makeKeys(how.key);
  const flags = x509.KeyUsageFlags;
  const subject = [{ CN: [name] }];
  const signer = { name: subject, keys };
  const pem = await certificate(how, subject, keys.publicKey, above ?? signer, [
    new x509.BasicConstraintsExtension(!how.noAuthority, how.pathLength, true),
    new x509.KeyUsagesExtension(how.noAuthority ? flags.digitalSignature : flags.keyCertSign | flags.cRLSign, true),
    ...(how.usage ? [usageOf(x509, how.usage)] : []),
  ]);
  return {
    pem,
    publicKey: Buffer.from(await webcrypto.subtle.exportKey("raw", keys.publicKey).catch(() => new ArrayBuffer(0))),
    below: (other, more = {}) => authorityOf(other, more, signer),
    issue: async (names, leaf = {}) => {
      const own = await makeKeys(leaf.key);
      const signs = leaf.onlyEncrypts ? 0 : flags.digitalSignature;
      const usage = signs | flags.keyEncipherment | (leaf.authority ? flags.keyCertSign : 0);
      const certificatePem = await certificate(leaf, [{ CN: [names[0] ?? ""] }], own.publicKey, signer, [
        new x509.BasicConstraintsExtension(leaf.authority ?? false, undefined, true),
        new x509.KeyUsagesExtension(usage, true),
        usageOf(x509, leaf.usage ?? ["server", "client"]),
        new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: "dns", value }))),
      ]);
      return { certificatePem, keyPem: await keyPemOf(own.privateKey) };
    },
  };
}

/** The name that a certificate is for, in DER. */
export async function subjectOf(pem: string): Promise<Buffer> {
  const { X509Certificate } = await library();
  return Buffer.from(new X509Certificate(pem).subjectName.toArrayBuffer());
}

async function library() {
  await import("reflect-metadata"); // @peculiar/x509 wants it to be there first
  return import("@peculiar/x509");
}

type Library = Awaited<ReturnType<typeof library>>;

const usageOf = ({ ExtendedKeyUsage, ExtendedKeyUsageExtension }: Library, usage: readonly ("server" | "client")[]) =>
  new ExtendedKeyUsageExtension(usage.map((each) => ExtendedKeyUsage[each === "server" ? "serverAuth" : "clientAuth"]));

const makeKeys = (kind: keyof typeof keyKinds = "p256") =>
  webcrypto.subtle.generateKey(keyKinds[kind], true, ["sign", "verify"]) as Promise<webcrypto.CryptoKeyPair>;

let serial = 0;

async function certificate(
  { days: [from, until] = [-30, 60], hash = "SHA-256" }: Issued,
  subject: NameOf,
  publicKey: webcrypto.CryptoKey,
  signer: Signer,
  extensions: InstanceType<Library["Extension"]>[],
): Promise<string> {
  const x509 = await library();
  const made = await x509.X509CertificateGenerator.create(
    {
      serialNumber: (++serial).toString(16).padStart(4, "0"),
      issuer: signer.name,
      subject,
      notBefore: new Date(Date.now() + from * day),
      notAfter: new Date(Date.now() + until * day),
      publicKey: publicKey as never,
      signingKey: signer.keys.privateKey as never,
      signingAlgorithm: { ...signer.keys.privateKey.algorithm, hash } as never,
      extensions: [
        ...extensions,
        await x509.SubjectKeyIdentifierExtension.create(publicKey, false, webcrypto),
        await x509.AuthorityKeyIdentifierExtension.create(signer.keys.publicKey as never, false, webcrypto),
      ],
    },
    webcrypto,
  );
  return `${made.toString("pem")}\n`;
}

async function keyPemOf(key: webcrypto.CryptoKey): Promise<string> {
  const lines =
    Buffer.from(await webcrypto.subtle.exportKey("pkcs8", key))
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return ["-----BEGIN PRIVATE KEY-----", ...lines, "-----END PRIVATE KEY-----", ""].join("\n");
}
