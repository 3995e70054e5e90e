/** The certificate that cert-manager issues for a server, and why it has not. */
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import { childNames } from "../../api/names.ts";
import { caaDomainOf } from "../../certificates/caa-domain.ts";
import { type Certificate, certificates, type SeenIssuer } from "../cert-manager.ts";
import type { Problem } from "../problem.ts";
import type { SeenCertificate } from "./seen.ts";
import type { World } from "./world.ts";

/** `given`: how the Secret is judged that it fills. */
export async function withCertManager(
  server: ChatmailServer,
  given: SeenCertificate,
  world: World,
  signal: AbortSignal,
): Promise<SeenCertificate> {
  const issuerRef = server.spec.certificate.certManager?.issuerRef;
  if (!issuerRef) return given;
  const { namespace, name } = server.metadata;
  const absent = await world.certManager.missing(namespace, signal);
  if (absent) return { ...given, ...unissued(given, absent, absent.message) };
  const [issuer, live] = await Promise.all([
    world.certManager.issuer(issuerRef, namespace, signal),
    world.client.get(certificates, { namespace, name: childNames(name).certificate }, signal),
  ]);
  const why = failureOf(live) ?? issuer.problem;
  const rest = { ...given, issuerRef, ...caaOf(issuer), ...keysOf(server, given) };
  if (given.facts) return { ...rest, ...(why !== undefined && { note: `cert-manager can't renew it: ${why}` }) };
  const words = why ?? progressOf(live);
  return { ...rest, ...unissued(given, { reason: "CertificateMissing", message: "" }, words) };
}

/** One that is there is served on, whatever keeps the next one away. */
function unissued(given: SeenCertificate, problem: Problem, why: string): Pick<SeenCertificate, "problem" | "note"> {
  if (given.facts) return { note: `it is not renewed: ${why}` };
  const { reason } = problem;
  // a Secret that is there and wrong says more
  if (given.problem && given.problem.reason !== "CertificateMissing") return { problem: given.problem };
  const message =
    reason === "CertManagerMissing"
      ? why
      : `cert-manager has not issued a certificate into Secret ${given.secretName}: ${why}`;
  return { problem: { reason, message } };
}

/** The last attempt failed: cert-manager waits for an hour or more before the next one. */
function failureOf(live: Certificate | undefined): string | undefined {
  const issuing = live?.status?.conditions?.find(({ type }) => type === "Issuing");
  return issuing?.status === "False" && issuing.reason !== "Issued" ? issuing.message : undefined;
}

function progressOf(live: Certificate | undefined): string {
  if (!live) return "it has not been asked yet";
  const of = (wanted: string) => live.status?.conditions?.find(({ type }) => type === wanted)?.message;
  return of("Issuing") ?? of("Ready") ?? `it has not answered to Certificate ${live.metadata.name} yet`;
}

/** Where the issuer can be read and its authority is known by name. */
function caaOf({ acmeServer, accountURI }: SeenIssuer): Pick<SeenCertificate, "issuer"> {
  const domain = acmeServer === undefined ? undefined : caaDomainOf(acmeServer);
  return domain === undefined ? {} : { issuer: { domain, ...(accountURI !== undefined && { accountURI }) } };
}

/** A renewal keeps the key. */
function keysOf({ spec }: ChatmailServer, { facts }: SeenCertificate): Pick<SeenCertificate, "keptKeys"> {
  const rotates = spec.certificate.certManager?.privateKey?.rotationPolicy === "Always";
  return facts && !rotates ? { keptKeys: [facts.keySha256] } : {};
}

const soonestMs = 15_000;
const latestMs = 600_000;
const absentAgainMs = 60_000;

/**
 * When to ask again, while nothing is issued: a quarter of the time that it has taken so far. That
 * a certificate was issued is told by its Secret, at once.
 */
export function askIssuerAgainMs(
  { certificate }: { certificate: SeenCertificate },
  since: Date | undefined,
  now: Date,
) {
  if (certificate.source !== "CertManager" || (certificate.facts && certificate.note === undefined)) return undefined;
  // one look for all servers of a namespace
  if (certificate.problem?.reason === "CertManagerMissing") return absentAgainMs;
  const ageMs = since ? now.getTime() - since.getTime() : 0;
  return Math.min(latestMs, Math.max(soonestMs, ageMs / 4));
}
