/** Whether a certificate and its key can serve a domain, as a strict TLS client sees it. Pure. */
import { isAddressLiteral } from "../api/domain.ts";
import type { Reason } from "../api/reasons.ts";
import { chainProblem } from "./chain.ts";
import { keySha256Of, readPair, sha256Of } from "./pair.ts";
import type { Roots } from "./roots.ts";
import { certificateNames } from "./self-signed.ts";

export interface CertificateFacts {
  notAfter: Date;
  /** Hexadecimal, lower-case, without colons. */
  sha256: string;
  /** SHA-256 of the public key (SubjectPublicKeyInfo), as TLSA records have it. */
  keySha256: string;
  /** When the verdict changes automatically: it begins, or it or one of its chain ends. */
  changesAt: Date;
  /** Of www and mta-sts, those that it is not for: no relay needs them, browsers and MTA-STS do. */
  missingNames: readonly string[];
}

export interface CertificateProblem {
  reason: Extract<
    Reason,
    | "CertificateInvalid"
    | "CertificateMismatch"
    | "CertificateExpired"
    | "CertificateChainIncomplete"
    | "CertificateUntrusted"
  >;
  message: string;
}

export interface CertificateVerdict {
  facts?: CertificateFacts;
  problem?: CertificateProblem;
}

/** `roots`: where its chain must end; undefined where clients take one that nobody signed. */
export function judgeCertificate(options: {
  certificatePem: string;
  keyPem: string;
  domain: string;
  now: Date;
  roots?: Roots | undefined;
}): CertificateVerdict {
  const { certificatePem, keyPem, domain, now, roots } = options;
  const pair = readPair({ certificatePem, keyPem });
  if ("problem" in pair) return { problem: { reason: "CertificateInvalid", message: pair.problem } };
  const { certificate } = pair;

  const begins = new Date(certificate.validFrom);
  const notAfter = new Date(certificate.validTo);
  // OpenSSL's rules: only the subject alternative names count, and `*` stands for the whole first
  // label (RFC 9525 §6.3)
  const isFor = (name: string) =>
    certificate.checkHost(name, { subject: "never", partialWildcards: false }) !== undefined ||
    (isAddressLiteral(name) && certificate.checkIP(name) !== undefined);
  const facts = {
    notAfter,
    sha256: sha256Of(certificate),
    keySha256: keySha256Of(certificate),
    changesAt: begins > now ? begins : notAfter,
    missingNames: certificateNames(domain).filter((name) => name !== domain && !isFor(name)),
  };
  const problem = (reason: CertificateProblem["reason"], message: string) => ({ facts, problem: { reason, message } });
  if (!isFor(domain)) {
    const names = namesIn(certificate.subjectAltName ?? "");
    const found = names.length > 0 ? `is for ${names.slice(0, 5).join(", ")}` : "names no domain";
    return problem("CertificateMismatch", `the certificate ${found}, not for ${domain}`);
  }
  if (begins > now)
    return problem("CertificateInvalid", `the certificate is not valid before ${certificate.validFrom}`);
  if (notAfter <= now) return problem("CertificateExpired", `the certificate expired at ${notAfter.toISOString()}`);
  if (!roots) return { facts };
  const chain = chainProblem(pair, roots, now);
  if ("reason" in chain) {
    const { reason, message, changesAt = facts.changesAt } = chain;
    return { facts: { ...facts, changesAt }, problem: { reason, message } };
  }
  return { facts: { ...facts, changesAt: chain.validUntil } };
}

/** "DNS:a.example, IP Address:1.2.3.4" → the names, for a message. */
function namesIn(subjectAltName: string): string[] {
  return subjectAltName
    .split(", ")
    .map((entry) => /^(?:DNS|IP Address):(.+)$/.exec(entry)?.[1])
    .filter((name) => name !== undefined);
}
