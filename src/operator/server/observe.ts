/**
 * Reads what is known about a server: from what the watches keep, and from the API server what is
 * not watched.
 */
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import { childNames, labels } from "../../api/names.ts";
import { resources } from "../../kube/kinds.ts";
import { keyOf } from "../../kube/object.ts";
import { readIdentities } from "../identity/read.ts";
import type { ServedStatus } from "../tasks/served.ts";
import { claimNameOf } from "./claims.ts";
import { expiryCounts } from "./expiry-counts.ts";
import { hasEnded, isEraseJob, isMoveJob } from "./jobs.ts";
import type { LiveEvent, LivePod } from "./live.ts";
import { moveProblem } from "./move-report.ts";
import { isBackupJob, observeBackup } from "./observe-backup.ts";
import { observeCertificate } from "./observe-certificate.ts";
import { observeDns } from "./observe-dns.ts";
import { observeInvites } from "./observe-invites.ts";
import { withLast } from "./observe-last-certificate.ts";
import { observeWebsite } from "./observe-website.ts";
import { checkComponent } from "./resources/image-check-job.ts";
import type { Seen } from "./seen.ts";
import type { World } from "./world.ts";

export async function observe(server: ChatmailServer, world: World, signal: AbortSignal): Promise<Seen> {
  const { stores } = world;
  const { namespace, name } = server.metadata;
  const names = childNames(name);
  const claims = world.claimsByServer.get(`${namespace}/${name}`);
  const claimName = claimNameOf(server, claims);
  const volumeClaim = await claimAt(server, claimName, world, signal);
  const pod = stores.pods.get(namespace, names.pod);
  const statefulSet = stores.statefulSets.get(namespace, names.statefulSet);
  const lastWords = (kind: string, about: string) => lastEvent(world, { namespace, kind, name: about });
  const identity = await readIdentities(server, world, signal);
  const jobs = world.jobsByServer.get(`${namespace}/${name}`);
  return {
    identity,
    certificate: withLast(server, await observeCertificate(server, identity, world, signal), world),
    invites: await observeInvites(server, identity, world, signal),
    website: await observeWebsite(server, world, signal),
    configMap: stores.configMaps.get(namespace, names.planConfigMap),
    dns: await observeDns(server, world, signal),
    dnsConfigMap: stores.configMaps.get(namespace, names.dnsConfigMap),
    volumeClaim,
    claimName,
    otherClaims: claims.filter(({ metadata }) => metadata.name !== claimName),
    moveJobs: jobs.filter(isMoveJob),
    moveProblem: moveProblem(world.podsByServer.get(`${namespace}/${name}`)),
    service: stores.services.get(namespace, names.service),
    statefulSet,
    pod,
    relay: pod && world.relays.of(pod),
    served: pod && servedBy(pod, world.served.of(keyOf(server))),
    cronJob: stores.cronJobs.get(namespace, names.expiryCronJob),
    networkPolicies: [names.networkPolicy, names.expiryNetworkPolicy, names.backupNetworkPolicy].flatMap(
      (policy) => stores.networkPolicies.get(namespace, policy) ?? [],
    ),
    jobs: jobs.filter(
      (job) =>
        !isEraseJob(job) &&
        !isBackupJob(job) &&
        !isMoveJob(job) &&
        job.metadata.labels?.[labels.component] !== checkComponent,
    ),
    backup: observeBackup(server, world),
    expiryCounts: expiryCounts(world.podsByServer.get(`${namespace}/${name}`)),
    erasing: jobs.find((job) => isEraseJob(job) && !hasEnded(job))?.metadata.name,
    ...(volumeClaim?.status?.phase === "Pending" && {
      claimEvent: lastWords("PersistentVolumeClaim", claimName),
    }),
    ...(statefulSet && !pod && { setEvent: lastWords("StatefulSet", names.statefulSet) }),
    ...(pod && !isReady(pod) && { podEvent: warningAbout(pod, world) }),
  };
}

/** Of this very pod, while it is ready. */
const servedBy = (pod: LivePod, served: ServedStatus | undefined) =>
  isReady(pod) && served?.of.podUid === pod.metadata.uid ? served : undefined;

/**
 * Where the status remembers one, the API server itself is asked before it counts as lost: the
 * watch may be behind, and one that a person restored may lack our labels.
 */
async function claimAt({ metadata, status }: ChatmailServer, name: string, world: World, signal: AbortSignal) {
  const { namespace } = metadata;
  const watched = world.stores.volumeClaims.get(namespace, name);
  if (watched || status?.storage?.claimUID === undefined) return watched;
  return world.client.get(resources.volumeClaim, { namespace, name }, signal);
}

/** Events are where Kubernetes says why a claim is not bound or a pod not made. */
function lastEvent(world: World, about: { namespace: string; kind: string; name: string }): string | undefined {
  const events = newestFirst(world.eventsAbout(about));
  // A warning says more than the ordinary step before or after it.
  return (events.find((event) => event.type === "Warning") ?? events[0])?.message;
}

/** Of this very pod: one of the same name that came before it may have had other problems. */
function warningAbout({ metadata: { namespace = "", name, uid } }: LivePod, world: World): LiveEvent | undefined {
  const events = newestFirst(world.eventsAbout({ namespace, kind: "Pod", name })).filter(
    ({ involvedObject }) => involvedObject.uid === uid,
  );
  // the summary that the kubelet adds to each failed mount names no cause
  return events.find(({ message }) => !message?.startsWith("Unable to attach or mount volumes")) ?? events[0];
}

const timeOf = (event: LiveEvent) => event.lastTimestamp ?? event.eventTime ?? event.metadata.creationTimestamp ?? "";
const newestFirst = (events: readonly LiveEvent[]) => [...events].sort((a, b) => (timeOf(a) < timeOf(b) ? 1 : -1));

const isReady = ({ status }: LivePod) =>
  status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True") ?? false;
