/** Reads what is known about a server: from what the watches keep, and from the API server what is not watched. */
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import { isSelfSignedDomain } from "../../api/domain.ts";
import { childNames } from "../../api/names.ts";
import { judgeCertificate } from "../../certificates/judge.ts";
import { makeSelfSigned } from "../../certificates/self-signed.ts";
import { resources } from "../../kube/object.ts";
import type { LiveEvent, LiveSecret } from "./live.ts";
import { observeDkim } from "./observe-dkim.ts";
import { observeInvites } from "./observe-invites.ts";
import { isOurs } from "./observe-secret.ts";
import { observeTurn } from "./observe-turn.ts";
import type { Seen, SeenCertificate } from "./seen.ts";
import type { World } from "./world.ts";

export async function observe(server: ChatmailServer, world: World, signal: AbortSignal): Promise<Seen> {
  const { stores } = world;
  const { namespace, name } = server.metadata;
  const names = childNames(name);
  const volumeClaim = stores.volumeClaims.get(namespace, names.volumeClaim);
  const pod = stores.pods.get(namespace, names.pod);
  const statefulSet = stores.statefulSets.get(namespace, names.statefulSet);
  const lastWords = (kind: string, about: string) => lastEvent(world, { namespace, kind, name: about });
  return {
    certificate: await observeCertificate(server, world, signal),
    invites: await observeInvites(server, world, signal),
    dkim: await observeDkim(server, world, signal),
    turn: await observeTurn(server, world, signal),
    configMap: stores.configMaps.get(namespace, names.configMap),
    tlsSecret: stores.secrets.get(namespace, names.tlsSecret),
    volumeClaim,
    service: stores.services.get(namespace, names.service),
    statefulSet,
    pod,
    cronJob: stores.cronJobs.get(namespace, names.expiryCronJob),
    jobs: world.jobsByServer.get(`${namespace}/${name}`),
    ...(volumeClaim?.status?.phase === "Pending" && {
      claimTrouble: lastWords("PersistentVolumeClaim", names.volumeClaim),
    }),
    ...(statefulSet && !pod && { podTrouble: lastWords("StatefulSet", names.statefulSet) }),
  };
}

/** Events are where Kubernetes says why a claim is not bound or a pod not made. */
function lastEvent(world: World, about: { namespace: string; kind: string; name: string }): string | undefined {
  const time = (event: LiveEvent) => event.lastTimestamp ?? event.eventTime ?? event.metadata.creationTimestamp ?? "";
  const events = world.eventsAbout(about).sort((a, b) => (time(a) < time(b) ? 1 : -1));
  // A warning says more than the ordinary step before or after it.
  return (events.find((event) => event.type === "Warning") ?? events[0])?.message;
}

async function observeCertificate(server: ChatmailServer, world: World, signal: AbortSignal): Promise<SeenCertificate> {
  const { spec, metadata } = server;
  const { domain } = spec;
  const { source } = spec.certificate;
  const ownName = childNames(metadata.name).tlsSecret;
  if (source === "Secret") return givenCertificate(server, world, signal);
  if (source === "Auto" && !isSelfSignedDomain(domain)) {
    const message = `this version can't get a certificate for ${domain} by itself: put one into a kubernetes.io/tls Secret and set certificate to source: Secret with its secretName, or to source: SelfSigned for a test`;
    return { source: "None", secretName: ownName, problem: { reason: "CertificateSourceMissing", message } };
  }

  const { now } = world;
  // A watch that is behind must not cost clients the key that they pinned.
  const at = { namespace: metadata.namespace, name: ownName };
  const found =
    world.stores.secrets.get(metadata.namespace, ownName) ??
    ((await world.client.get(resources.secret, at, signal)) as LiveSecret | undefined);
  const kept = found && pairIn(found);
  if (kept) {
    const verdict = judgeCertificate({ ...kept, domain, now: now() });
    if (!verdict.problem) return { source: "SelfSigned", secretName: ownName, pair: kept, ...verdict };
  }
  const pair = await makeSelfSigned(domain, now());
  const verdict = judgeCertificate({ ...pair, domain, now: now() });
  return { source: "SelfSigned", secretName: ownName, pair, ...(!found && { absent: true }), ...verdict };
}

async function givenCertificate(server: ChatmailServer, world: World, signal: AbortSignal): Promise<SeenCertificate> {
  const { namespace } = server.metadata;
  const secretName = server.spec.certificate.secretName ?? "";
  const here = { source: "Secret", secretName } as const;
  const secret =
    world.stores.secrets.get(namespace, secretName) ?? (await secretNamed(secretName, namespace, world, signal));
  const missing = (message: string): SeenCertificate => ({
    ...here,
    problem: { reason: "CertificateMissing", message },
  });
  const unusable = (message: string): SeenCertificate => ({ ...missing(message), unusable: true });
  if (secret && isOurs(secret))
    return unusable(`Secret ${secretName} is one that the operator made for a ChatmailServer: name one of your own`);
  if (secret && secret.type !== "kubernetes.io/tls")
    return unusable(
      `Secret ${secretName} is of type ${secret.type ?? "Opaque"}: the operator serves only Secrets of type kubernetes.io/tls`,
    );
  if (!secret) return missing(`there is no Secret ${secretName} in namespace ${namespace}`);
  const pair = pairIn(secret);
  if (!pair) return missing(`Secret ${secretName} lacks tls.crt or tls.key`);
  return { ...here, ...judgeCertificate({ ...pair, domain: server.spec.domain, now: world.now() }) };
}

/** One that others made: only its name is watched; what is in it is read when it is needed. */
async function secretNamed(
  name: string,
  namespace: string,
  world: World,
  signal: AbortSignal,
): Promise<LiveSecret | undefined> {
  if (!world.otherSecrets.get(namespace, name)) return undefined;
  return (await world.client.get(resources.secret, { namespace, name }, signal)) as LiveSecret | undefined;
}

function pairIn(secret: LiveSecret): { certificatePem: string; keyPem: string } | undefined {
  const text = (key: string) => Buffer.from(secret.data?.[key] ?? "", "base64").toString("utf8");
  const [certificatePem, keyPem] = [text("tls.crt"), text("tls.key")];
  return certificatePem && keyPem ? { certificatePem, keyPem } : undefined;
}
