/** Whether a certificate and its key can serve a domain. Pure. */
import type { Reason } from "../api/reasons.ts";
import { readPair, sha256Of } from "./pair.ts";

export interface CertificateFacts {
  notAfter: Date;
  /** Hexadecimal, lower-case, without colons. */
  sha256: string;
}

export interface CertificateProblem {
  reason: Extract<Reason, "CertificateInvalid" | "CertificateMismatch" | "CertificateExpired">;
  message: string;
}

export interface CertificateVerdict {
  facts?: CertificateFacts;
  problem?: CertificateProblem;
}

export function judgeCertificate(options: {
  certificatePem: string;
  keyPem: string;
  domain: string;
  now: Date;
}): CertificateVerdict {
  const { certificatePem, keyPem, domain, now } = options;
  const invalid = (message: string): CertificateVerdict => ({ problem: { reason: "CertificateInvalid", message } });
  const pair = readPair({ certificatePem, keyPem });
  if ("problem" in pair) return invalid(pair.problem);
  const { certificate } = pair;

  const facts = {
    notAfter: new Date(certificate.validTo),
    sha256: sha256Of(certificate),
  };
  const names = namesIn(certificate.subjectAltName ?? "");
  if (!names.some((name) => covers(name, domain))) {
    const found = names.length > 0 ? `is for ${names.slice(0, 5).join(", ")}` : "names no domain";
    return {
      facts,
      problem: { reason: "CertificateMismatch", message: `the certificate ${found}, not for ${domain}` },
    };
  }
  if (new Date(certificate.validFrom) > now)
    return {
      facts,
      problem: { reason: "CertificateInvalid", message: `the certificate begins only at ${certificate.validFrom}` },
    };
  if (facts.notAfter <= now)
    return {
      facts,
      problem: { reason: "CertificateExpired", message: `the certificate ended at ${facts.notAfter.toISOString()}` },
    };
  return { facts };
}

/** "DNS:a.example, IP Address:1.2.3.4" → the names. Node quotes odd ones as JSON; those are none of ours. */
function namesIn(subjectAltName: string): string[] {
  return subjectAltName
    .split(", ")
    .map((entry) => /^(?:DNS|IP Address):(.+)$/.exec(entry)?.[1])
    .filter((name) => name !== undefined)
    .map((name) => name.toLowerCase());
}

/** RFC 6125 §6.4.3: `*` stands for the whole first label. */
function covers(name: string, domain: string): boolean {
  return name === domain || (name.startsWith("*.") && name.slice(1) === domain.slice(domain.indexOf(".")));
}
