/** Certificates that end a chain. */
import type { X509Certificate } from "node:crypto";
import { getCACertificates } from "node:tls";
import { certificatesIn } from "./pair.ts";

export class Roots {
  readonly #bySubject = new Map<string, X509Certificate[]>();
  readonly #others: Roots | undefined;

  /** `others`: these count too. */
  constructor(certificates: readonly X509Certificate[], others?: Roots) {
    this.#others = others;
    for (const each of certificates) {
      const same = this.#bySubject.get(each.subject);
      if (same) same.push(each);
      else this.#bySubject.set(each.subject, [each]);
    }
  }

  /** Those that signed it, or are it. */
  above(certificate: X509Certificate): X509Certificate[] {
    const own = (this.#bySubject.get(certificate.subject) ?? []).filter((root) => root.raw.equals(certificate.raw));
    const issuers = (this.#bySubject.get(certificate.issuer) ?? []).filter((root) => hasIssued(root, certificate));
    return [...own, ...issuers, ...(this.#others?.above(certificate) ?? [])];
  }
}

/** By names, key identifiers, what the issuer's key may be used for, and the signature. */
export function hasIssued(issuer: X509Certificate, certificate: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

let known: Roots | undefined;

/**
 * Mozilla's, as Node has them, and those of NODE_EXTRA_CA_CERTS: read when the first given
 * certificate is judged.
 */
export function publicRoots(): Roots {
  known ??= new Roots(
    getCACertificates("default").flatMap((pem) => {
      const found = certificatesIn(pem, "root");
      return "read" in found ? found.read : [];
    }),
  );
  return known;
}
