/** Which certificate a server has, and whether it can serve with it. */
import type { X509Certificate } from "node:crypto";
import { certificateSource } from "../../api/certificate-source.ts";
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import { isSelfSignedDomain } from "../../api/domain.ts";
import { childNames } from "../../api/names.ts";
import { judgeCertificate } from "../../certificates/judge.ts";
import { certificatesIn } from "../../certificates/pair.ts";
import { publicRoots, Roots } from "../../certificates/roots.ts";
import { resources } from "../../kube/kinds.ts";
import { type FoundIdentities, problemOf } from "../identity/read.ts";
import { isOurs, textsIn } from "../identity/secret.ts";
import { lacksPair, pairIn } from "../identity/table.ts";
import type { Problem } from "../problem.ts";
import { acmeCertificate } from "./observe-acme.ts";
import { withCertManager } from "./observe-cert-manager.ts";
import { readOthers } from "./read-others.ts";
import type { SeenCertificate } from "./seen.ts";
import type { World } from "./world.ts";

export async function observeCertificate(
  server: ChatmailServer,
  { tls }: FoundIdentities,
  world: World,
  signal: AbortSignal,
): Promise<SeenCertificate> {
  const { tlsSecret: ownName, issuedTlsSecret } = childNames(server.metadata.name);
  const { secret } = server.spec.certificate;
  const chosen = certificateSource(server.spec);
  const none = (message: string): SeenCertificate => ({
    source: "None",
    secretName: ownName,
    problem: { reason: "CertificateSourceMissing", message },
  });
  switch (chosen.source) {
    case "None":
      return none(chosen.missing);
    case "Secret":
      return givenCertificate(server, { source: "Secret", secretName: secret?.name ?? "" }, world, signal);
    case "SelfSigned": {
      const facts = tls && "value" in tls ? tls.value : undefined;
      const here = { source: "SelfSigned", secretName: ownName, facts } as const;
      // it is never renewed
      return { ...here, problem: tls && ownProblem(tls, ownName), ...(facts && { keptKeys: [facts.keySha256] }) };
    }
    case "ACME":
      return acmeCertificate(server, tls, await bundleOf(server, world, signal), world, signal);
    case "CertManager": {
      const here = { source: "CertManager", secretName: issuedTlsSecret } as const;
      return withCertManager(server, await givenCertificate(server, here, world, signal), world, signal);
    }
  }
}

/** What keeps our own certificate from being served. */
function ownProblem(tls: NonNullable<FoundIdentities["tls"]>, secretName: string): Problem | undefined {
  if (tls.state !== "absent") return problemOf(tls);
  const message = `there is no Secret ${secretName} yet: the operator creates it when it sets the server up`;
  return { reason: "CertificateMissing", message };
}

/** Of a Secret that others fill. */
async function givenCertificate(
  server: ChatmailServer,
  here: Pick<SeenCertificate, "source" | "secretName">,
  world: World,
  signal: AbortSignal,
): Promise<SeenCertificate> {
  const { namespace } = server.metadata;
  const { secretName } = here;
  const secret =
    world.stores.secrets.get(namespace, secretName) ??
    (await readOthers(
      resources.secret,
      { namespace, name: secretName },
      { watched: world.otherSecrets, client: world.client, signal },
    ));
  const missing = (message: string): SeenCertificate => ({
    ...here,
    problem: { reason: "CertificateMissing", message },
  });
  const unusable = (message: string): SeenCertificate => ({ ...missing(message), unusable: true });
  if (secret && isOurs(secret))
    return unusable(`Secret ${secretName} was created by the operator for a ChatmailServer: use another Secret`);
  if (secret && secret.type !== "kubernetes.io/tls")
    return unusable(
      `Secret ${secretName} is of type ${secret.type ?? "Opaque"}: the operator serves only Secrets of type kubernetes.io/tls`,
    );
  if (!secret) return missing(`there is no Secret ${secretName} in namespace ${namespace}`);
  const pair = pairIn(textsIn(secret));
  if (!pair) return missing(lacksPair(secretName));
  const roots = await rootsFor(server, world, signal);
  if (roots && "problem" in roots)
    return { ...here, problem: { reason: "CertificateUntrusted", message: roots.problem } };
  return { ...here, pair, ...judgeCertificate({ ...pair, domain: server.spec.domain, now: world.now(), roots }) };
}

/** Undefined where clients take a certificate that nobody signed. */
async function rootsFor(
  server: ChatmailServer,
  world: World,
  signal: AbortSignal,
): Promise<Roots | { problem: string } | undefined> {
  if (isSelfSignedDomain(server.spec.domain)) return undefined;
  const bundle = await bundleOf(server, world, signal);
  if (!bundle) return publicRoots();
  return "problem" in bundle ? bundle : new Roots(bundle.read, publicRoots());
}

/** The authorities of the spec; undefined where it names none. */
async function bundleOf(
  { metadata: { namespace }, spec }: ChatmailServer,
  world: World,
  signal: AbortSignal,
): Promise<{ pem: string; read: X509Certificate[] } | { problem: string } | undefined> {
  const { caBundle } = spec.certificate;
  if (!caBundle) return undefined;
  const { configMapName: name, key } = caBundle;
  const found = await world.client.get(resources.configMap, { namespace, name }, signal);
  if (!found)
    return { problem: `there is no ConfigMap ${name}, which certificate.caBundle names, in namespace ${namespace}` };
  const text = found.data?.[key];
  const called = `${key} in ConfigMap ${name}`;
  if (text === undefined) return { problem: `ConfigMap ${name} has no key ${key}, which certificate.caBundle names` };
  const bundle = certificatesIn(text, called);
  if ("problem" in bundle) return bundle;
  if (bundle.read.length === 0) return { problem: `${called} contains no certificate in PEM format` };
  return { pem: text, read: bundle.read };
}
