/**
 * Whether a strict client finds its way from a served certificate to a root: RFC 5280 §6.1, in the
 * order of RFC 5246 §7.4.2. Pure.
 */
import type { X509Certificate } from "node:crypto";
import type { Reason } from "../api/reasons.ts";
import { keyUsageOf, pathLengthOf } from "./extensions.ts";
import type { ReadPair } from "./pair.ts";
import { hasIssued, type Roots } from "./roots.ts";

export interface ChainProblem {
  reason: Extract<
    Reason,
    "CertificateInvalid" | "CertificateExpired" | "CertificateChainIncomplete" | "CertificateUntrusted"
  >;
  message: string;
  /** When it may be over without a change: one of the chain begins. */
  changesAt?: Date;
}

const serverAuth = "1.3.6.1.5.5.7.3.1";
const anyPurpose = "2.5.29.37.0";

/**
 * What is wrong with a certificate for a public name, or until when the chain as a whole is valid.
 */
export function chainProblem(pair: ReadPair, roots: Roots, now: Date): ChainProblem | { validUntil: Date } {
  const { certificate, chain } = pair;
  const leafProblem = servesClients(certificate);
  if (leafProblem) return { reason: "CertificateInvalid", message: leafProblem };

  const path = [certificate];
  for (let below = certificate; ; ) {
    const [root] = roots
      .above(below)
      .filter((each) => isValidAt(each, now))
      .sort(lastEndFirst);
    if (root) return { validUntil: firstEnd([...path, root]) };
    if (signedItself(below))
      return {
        reason: "CertificateUntrusted",
        message: `${nameOf(below)} is self-signed and not a root certificate that clients trust`,
      };
    const issuer = chain[path.length - 1];
    if (!issuer || !hasIssued(issuer, below)) return missingIssuer(below, chain);
    const problem = issuerProblem(issuer, path, now);
    if (problem) return problem;
    path.push(issuer);
    below = issuer;
  }
}

function servesClients(certificate: X509Certificate): string | undefined {
  if (certificate.ca) return "the first certificate in tls.crt is a CA certificate, not a server certificate";
  if (!allowsServers(certificate))
    return "the certificate is not for servers (its extended key usage lacks serverAuth)";
  if (keyUsageOf(certificate)?.digitalSignature === false)
    return "the certificate's key is not for signatures (its key usage lacks digitalSignature)";
  return undefined;
}

/** Node's name for the extended key usage is keyUsage. */
const allowsServers = ({ keyUsage }: X509Certificate) =>
  !keyUsage || keyUsage.includes(serverAuth) || keyUsage.includes(anyPurpose);

function missingIssuer(below: X509Certificate, chain: readonly X509Certificate[]): ChainProblem {
  const reason = "CertificateChainIncomplete";
  const issuer = nameText(below.issuer);
  if (chain.some((each) => hasIssued(each, below)))
    return {
      reason,
      message: `the certificates in tls.crt are not in order: ${issuer} must come right after ${nameOf(below)}`,
    };
  return {
    reason,
    message: `tls.crt lacks the certificate of ${issuer}, which signed ${nameOf(below)}, and it is not a root certificate that clients trust; add the intermediate certificates, or name the authority in certificate.caBundle`,
  };
}

function issuerProblem(issuer: X509Certificate, path: readonly X509Certificate[], now: Date): ChainProblem | undefined {
  const invalid = (message: string): ChainProblem => ({ reason: "CertificateInvalid", message });
  const name = nameOf(issuer);
  if (!issuer.ca) return invalid(`${name} is not a CA certificate`);
  if (!allowsServers(issuer)) return invalid(`${name} may not sign server certificates`);
  if ((pathLengthOf(issuer) ?? Number.POSITIVE_INFINITY) < path.length - 1)
    return invalid(`${name} allows fewer certificates below it than tls.crt has`);
  const begins = new Date(issuer.validFrom);
  if (begins > now) return { ...invalid(`${name} is not valid before ${begins.toISOString()}`), changesAt: begins };
  if (new Date(issuer.validTo) <= now)
    return {
      reason: "CertificateExpired",
      message: `${name} in tls.crt expired at ${new Date(issuer.validTo).toISOString()}`,
    };
  return undefined;
}

/** Whatever it says that its key is for. */
const signedItself = (each: X509Certificate) => each.subject === each.issuer && each.verify(each.publicKey);

const isValidAt = ({ validFrom, validTo }: X509Certificate, now: Date) =>
  new Date(validFrom) <= now && new Date(validTo) > now;

const lastEndFirst = (one: X509Certificate, other: X509Certificate) =>
  Date.parse(other.validTo) - Date.parse(one.validTo);

const firstEnd = (path: readonly X509Certificate[]) =>
  new Date(Math.min(...path.map(({ validTo }) => Date.parse(validTo))));

/** What authorities issue by ACME or in a cluster has names and no subject. */
const nameOf = ({ subject, subjectAltName }: X509Certificate) =>
  nameText(subject || subjectAltName?.split(", ")[0]?.replace(/^[A-Za-z ]+:/, ""));

/** "C=US\nO=…\nCN=R11" → R11; the last line where there is no CN. */
function nameText(name: string | undefined): string {
  const lines = (name ?? "").split("\n");
  const common = lines.find((line) => line.startsWith("CN=")) ?? lines.at(-1);
  return `"${(common ?? "").replace(/^[A-Za-z.0-9]+=/, "").slice(0, 100)}"`;
}
