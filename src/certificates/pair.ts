/**
 * A certificate with its chain and its key, as a Secret has them. What the operator judges and what
 * the relay serves are both read here. Pure.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import { remembered } from "../lib/remembered.ts";
import { type PemBlock, pemBlocks } from "./pem.ts";

export interface ReadPair {
  certificate: X509Certificate;
  /** What comes after the certificate, in the order of tls.crt. */
  chain: readonly X509Certificate[];
  key: KeyObject;
}

/**
 * OpenSSL reads these as certificates; TLS programs that look for CERTIFICATE find nothing in them.
 */
const otherCertificates = ["TRUSTED CERTIFICATE", "X509 CERTIFICATE", "PKCS7", "PKCS #7 SIGNED DATA", "CMS"];
/**
 * Clients take no longer message of certificates (OpenSSL: 100 KiB); real chains have two to four.
 */
const mostCertificates = 10;
/** Others are not served to browsers, or not to clients with rustls. */
const curves = ["prime256v1", "secp384r1"];
const rsaBits = { least: 2048, most: 8192 };

/** The pair, or what is wrong with it in one sentence. */
export function readPair(options: { certificatePem: string; keyPem: string }): ReadPair | { problem: string } {
  const certificates = certificatesIn(options.certificatePem, "tls.crt", mostCertificates);
  if ("problem" in certificates) return certificates;
  const [certificate, ...chain] = certificates.read;
  if (!certificate) return { problem: "tls.crt is not a certificate in PEM format" };
  const key = keyIn(options.keyPem);
  if ("problem" in key) return key;
  if (!certificate.checkPrivateKey(key.read)) {
    const fits = chain.findIndex((each) => each.checkPrivateKey(key.read));
    const where = fits >= 0 ? `: it is that of certificate ${fits + 2}, which has to come first` : "";
    return { problem: `tls.key is not the key of the certificate in tls.crt${where}` };
  }
  const pair = { certificate, chain, key: key.read };
  const parts = partsOf(pair);
  const problem = keyProblem(key.read) ?? loadProblem(parts.cert, parts.key);
  return problem === undefined ? pair : { problem };
}

/** More than all the roots that there are. Reading one takes some 100 µs. */
const mostInABundle = 500;

/**
 * All certificates of a PEM text, or what is wrong with it; `name` says where it comes from. Of
 * more than `most` none is read.
 */
export function certificatesIn(
  text: string,
  name: string,
  most = mostInABundle,
): { read: X509Certificate[] } | { problem: string } {
  const blocks = pemBlocks(text);
  if (!blocks) return { problem: `${name} is not a certificate in PEM format: a block has no end` };
  const other = blocks.find(({ label }) => otherCertificates.includes(label));
  if (other)
    return {
      problem: `${name} is not a certificate that servers can use: it has BEGIN ${other.label}, not BEGIN CERTIFICATE`,
    };
  const own = blocks.filter(({ label }) => label === "CERTIFICATE");
  if (own.length > most) return { problem: `${name} has ${own.length} certificates, more than ${most}` };
  const read: X509Certificate[] = [];
  for (const block of own) {
    const certificate = certificateOf(block);
    if (!certificate)
      return { problem: `${name} is not a certificate in PEM format: block ${read.length + 1} can't be read` };
    read.push(certificate);
  }
  return { read };
}

function certificateOf({ body }: PemBlock): X509Certificate | undefined {
  if (!/^[A-Za-z0-9+/=\s]+$/.test(body)) return undefined;
  try {
    const certificate = new X509Certificate(Buffer.from(body, "base64"));
    void certificate.publicKey; // throws where it is of no known kind
    return certificate;
  } catch {
    return undefined;
  }
}

/**
 * The one key. Parameters of its curve may stand before it, as `openssl ecparam -genkey` writes
 * them.
 */
function keyIn(text: string): { read: KeyObject } | { problem: string } {
  const no = (why: string) => ({ problem: `tls.key is not a private key in PEM format${why}` });
  const blocks = (pemBlocks(text) ?? []).filter(({ label }) => label.endsWith("PRIVATE KEY"));
  const [block, second] = blocks;
  if (!block) return no("");
  if (second) return no(": it contains more than one key");
  const { label, body } = block;
  if (label === "ENCRYPTED PRIVATE KEY" || body.includes("ENCRYPTED")) return no(" without a password");
  try {
    return { read: createPrivateKey(`-----BEGIN ${label}-----${body}-----END ${label}-----\n`) };
  } catch {
    return no("");
  }
}

function keyProblem(key: KeyObject): string | undefined {
  const { modulusLength = 0, namedCurve = "without a name" } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case "rsa": {
      const { least, most } = rsaBits;
      if (modulusLength >= least && modulusLength <= most) return undefined;
      return `tls.key is RSA with ${modulusLength} bits; clients accept ${least} to ${most}`;
    }
    case "ec":
      if (curves.includes(namedCurve)) return undefined;
      return `tls.key is on the curve ${namedCurve}; clients accept P-256 and P-384`;
    default:
      return `tls.key is of type ${key.asymmetricKeyType}; clients accept RSA and ECDSA`;
  }
}

/**
 * What OpenSSL says, which Postfix, Dovecot and nginx load it with: a weak signature, for example.
 * It takes a millisecond, and is requested at each reconcile.
 */
const loadProblem = remembered((cert: string, key: string): string | undefined => {
  try {
    // the level of Debian's programs; Node's own may be another
    createSecureContext({ cert, key, ciphers: "DEFAULT@SECLEVEL=2" });
    return undefined;
  } catch (thrown) {
    return `no server can use tls.crt with tls.key: ${(thrown as Error).message.split(":").at(-1)}`;
  }
});

const partsOf = ({ certificate, chain, key }: ReadPair) => ({
  cert: [certificate, ...chain].map((each) => each.toString()).join(""),
  key: key.export({ type: "pkcs8", format: "pem" }).toString(),
});

/** Hexadecimal, lower-case, without colons. */
export const sha256Of = (certificate: X509Certificate): string =>
  certificate.fingerprint256.replaceAll(":", "").toLowerCase();

/**
 * Key and chain in one text, the key first as Postfix wants it, written again from what was read:
 * nothing else can stand in it.
 */
export function joinedPem(pair: ReadPair): string {
  const { key, cert } = partsOf(pair);
  return key + cert;
}
