/** A certificate that the operator orders itself: how it is, and what the order has to know. */
import { X509Certificate } from "node:crypto";
import { authorityOf } from "../../api/certificate-source.ts";
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import { isAddressLiteral, isSelfSignedDomain } from "../../api/domain.ts";
import { childNames } from "../../api/names.ts";
import { judgeCertificate } from "../../certificates/judge.ts";
import { certificatesIn } from "../../certificates/pair.ts";
import { publicRoots, Roots } from "../../certificates/roots.ts";
import { resources } from "../../kube/kinds.ts";
import { keyOf } from "../../kube/object.ts";
import { planFile } from "../../pod/layout.ts";
import { planHash } from "../../pod/plan-files.ts";
import { readAccount } from "../identity/acme-account.ts";
import { type FoundIdentities, problemOf } from "../identity/read.ts";
import { isOurs, textsIn } from "../identity/secret.ts";
import { pairIn } from "../identity/table.ts";
import type { Problem } from "../problem.ts";
import {
  type CertificateStatus,
  signedItself,
  type WantedAccount,
  type WantedCertificate,
} from "../tasks/certificates.ts";
import { wantedRecords } from "./observe-dns.ts";
import { readOthers } from "./read-others.ts";
import type { Seen, SeenAcme, SeenCertificate } from "./seen.ts";
import { knownSets } from "./verdicts/dns.ts";
import type { World } from "./world.ts";

export async function acmeCertificate(
  server: ChatmailServer,
  tls: FoundIdentities["tls"],
  bundle: { pem: string } | { problem: string } | undefined,
  world: World,
  signal: AbortSignal,
): Promise<SeenCertificate> {
  const secretName = childNames(server.metadata.name).tlsSecret;
  const account = await readAccount(server, world, signal);
  const binding = await externalAccount(server, world, signal);
  const status = world.certificates.of(keyOf(server));
  const acme: SeenAcme = {
    status,
    missing: account === "absent",
    ...(typeof account === "object" && "thumbprint" in account && { thumbprint: account.thumbprint }),
  };
  const { caaIdentity, accountUri: accountURI } = status ?? {};
  const issuer = caaIdentity === undefined ? undefined : { domain: caaIdentity, accountURI };
  const facts = tls && "value" in tls ? tls.value : undefined;
  // a renewal is for the key that is there
  const kept = facts && { keptKeys: [facts.keySha256] };
  const here = { source: "ACME", secretName, acme, ...(issuer && { issuer }), ...kept } as const;
  const invalid =
    (typeof account === "object" && "problem" in account ? account.problem : undefined) ??
    (binding && "problem" in binding ? binding.problem : undefined) ??
    (bundle && "problem" in bundle ? { reason: "CertificateUntrusted" as const, message: bundle.problem } : undefined);
  const authorities = bundle && "pem" in bundle ? bundle.pem : undefined;
  if (!invalid && typeof account === "object" && "keyPem" in account)
    acme.account = accountFor(server, account.keyPem, binding && "keyId" in binding ? binding : undefined, authorities);

  const texts = tls && "secret" in tls ? textsIn(tls.secret) : {};
  const pair = pairIn(texts);
  if (!pair || !facts) {
    const problem = tls && tls.state !== "absent" ? problemOf(tls) : undefined;
    const message = `there is no Secret ${secretName} yet: the operator creates it when it sets the server up`;
    return { ...here, facts, problem: problem ?? invalid ?? { reason: "CertificateMissing", message } };
  }
  // clients expect no more of an address
  const isEnough = isSelfSignedDomain(server.spec.domain);
  if (signedItself(new X509Certificate(pair.certificatePem)))
    return { ...here, facts, onItsWay: true, ...(!isEnough && { problem: invalid ?? waiting(server, status) }) };
  const roots = isEnough ? undefined : rootsWith(authorities);
  return { ...here, ...judgeCertificate({ ...pair, domain: server.spec.domain, now: world.now(), roots }) };
}

const servedMeanwhile = "a self-signed certificate is served meanwhile";

/** Of a first certificate that is not there yet. */
function waiting({ spec }: ChatmailServer, status: CertificateStatus | undefined): Problem {
  const from = authorityOf(spec);
  const again = status?.retryTime ? `, tried again at ${status.retryTime.toISOString().slice(0, 19)}Z` : "";
  if (status?.problem)
    return {
      reason: status.problem.reason,
      message: `no certificate from ${from} yet: ${status.problem.message}${again}; ${servedMeanwhile}`,
    };
  return { reason: "CertificatePending", message: `a certificate is being ordered from ${from}; ${servedMeanwhile}` };
}

function accountFor(
  { spec }: ChatmailServer,
  keyPem: string,
  binding: WantedAccount["binding"],
  authorities: string | undefined,
): WantedAccount {
  const { directoryURL = "", email } = spec.certificate.acme ?? {};
  return {
    directoryUrl: directoryURL,
    keyPem,
    ...(email !== undefined && { email }),
    ...(binding && { binding }),
    ...(authorities !== undefined && { authorities }),
  };
}

const rootsWith = (pem: string | undefined): Roots => {
  const read = pem === undefined ? undefined : certificatesIn(pem, "caBundle");
  return read && "read" in read ? new Roots(read.read, publicRoots()) : publicRoots();
};

async function externalAccount(
  { metadata: { namespace }, spec }: ChatmailServer,
  world: World,
  signal: AbortSignal,
): Promise<NonNullable<WantedAccount["binding"]> | { problem: Problem } | undefined> {
  const given = spec.certificate.acme?.externalAccountBinding;
  if (!given) return undefined;
  const { name, key } = given.secretRef;
  const wrong = (message: string) => ({ problem: { reason: "AcmeAccountInvalid", message } as const });
  const field = "certificate.acme.externalAccountBinding.secretRef";
  const from = { watched: world.otherSecrets, client: world.client, signal };
  const secret = await readOthers(resources.secret, { namespace, name }, from);
  if (!secret) return wrong(`there is no Secret ${name}, which ${field} names, in namespace ${namespace}`);
  if (isOurs(secret)) return wrong(`Secret ${name} was created by the operator for a ChatmailServer: use another one`);
  const hmacKey = textsIn(secret)[key]?.trim();
  if (!hmacKey) return wrong(`Secret ${name} has no key ${key}, which ${field} names`);
  if (!/^[A-Za-z0-9_-]+={0,2}$/.test(hmacKey))
    return wrong(`${key} in Secret ${name} is not base64url: put the HMAC key there as the authority gives it`);
  return { keyId: given.keyID, hmacKey };
}

/** What the task is to do. Pure. */
export function wantedCertificate(server: ChatmailServer, seen: Seen): WantedCertificate | undefined {
  const { certificate } = seen;
  const { acme, secretName, facts } = certificate;
  if (!acme?.account || !facts) return undefined;
  const { domain, certificate: spec } = server.spec;
  const challenge = spec.acme?.challenge === "DNS01" ? "dns-01" : "http-01";
  const waits = waitsFor(server, seen);
  return {
    secret: { namespace: server.metadata.namespace, name: secretName },
    sha256: facts.sha256,
    domain,
    optional: optionalNames(server, seen),
    account: acme.account,
    challenge,
    ...(challenge === "dns-01" && { update: wantedRecords(server, seen) }),
    ...(spec.acme?.profile !== undefined && { profile: spec.acme.profile }),
    ...(waits && { waits }),
  };
}

/** Those that the DNS has, as far as that is known. */
function optionalNames(server: ChatmailServer, seen: Seen): string[] {
  const { domain, dns } = server.spec;
  if (isAddressLiteral(domain)) return [];
  const names = [`www.${domain}`, `mta-sts.${domain}`];
  const sets = knownSets(server, seen);
  if (server.spec.certificate.acme?.challenge === "DNS01") return names;
  if (dns.mode === "None" || !sets) return names;
  return names.filter((name) => {
    const of = sets.filter((set) => set.name === `${name}.`);
    return of.some(({ state }) => state === "Published");
  });
}

/** What has to be there before anything is ordered: failures are counted by the authority. */
function waitsFor(server: ChatmailServer, seen: Seen): Problem | undefined {
  const { certificate: spec, dns, domain } = server.spec;
  if (spec.acme?.challenge === "DNS01") {
    const tsig = seen.dns?.tsig;
    if (tsig && "problem" in tsig) return tsig.problem;
    if (wantedRecords(server, seen)) return undefined;
    if (dns.mode === "RFC2136")
      return { reason: "CertificatePending", message: "the operator can't write records of the domain yet" };
    const message = "certificate.acme.challenge is DNS01, which needs dns.mode RFC2136";
    return { reason: "CertificateSourceMissing", message };
  }
  if (!isAddressLiteral(domain)) {
    const addresses = (knownSets(server, seen) ?? []).filter(
      ({ name, type }) => name === `${domain}.` && (type === "A" || type === "AAAA"),
    );
    const wrong = addresses.filter(({ state }) => state !== "Published" && state !== "Unknown");
    if (dns.mode !== "None" && !seen.dns?.status && addresses.length === 0)
      return { reason: "CertificatePending", message: "the DNS records of the domain are being verified" };
    if (wrong.length > 0) {
      const message = `the authority would not find the relay: ${wrong.map(({ name, type }) => `${type} ${name}`).join(" and ")} must lead to it first`;
      return { reason: dns.mode === "Manual" ? "CertificateWaits" : "CertificatePending", message };
    }
  }
  if (!answersOnPort80(seen))
    return { reason: "CertificatePending", message: "the relay pod does not answer for the account on port 80 yet" };
  return undefined;
}

/** The pod goes by a plan that names the account. */
function answersOnPort80({ certificate: { acme }, configMap, relay }: Seen): boolean {
  const text = configMap?.data?.[planFile];
  if (!text || !acme?.thumbprint || !text.includes(acme.thumbprint)) return false;
  return relay !== undefined && "report" in relay && relay.report.plan?.used === planHash(text);
}
