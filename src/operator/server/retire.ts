/**
 * The end of a server. What runs belongs to it and is deleted by the cluster; what is decided here
 * is what becomes of its mail, its accounts and its keys, by the spec as it is at the deletion. The
 * finalizer that holds the server until then is on those alone that need it: with Retain, and no
 * DNS records to remove, nothing has to be done, so nothing can be stuck.
 */
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import { annotations, chatmailServer, childNames, deletionFinalizer, eraseJobName } from "../../api/names.ts";
import type { ReclaimPolicy } from "../../api/spec/storage.ts";
import { ApiError, isApiError } from "../../kube/client.ts";
import type { Outcome } from "../../kube/controller.ts";
import { resources } from "../../kube/kinds.ts";
import type { Log } from "../../kube/log.ts";
import type { KubeObject, Resource } from "../../kube/object.ts";
import { planFile } from "../../pod/layout.ts";
import { planHash } from "../../pod/plan-files.ts";
import { isMadeFor } from "../identity/secret.ts";
import type { Problem } from "../problem.ts";
import { claimNameOf } from "./claims.ts";
import { type Ending, nextStep, type Step } from "./ending.ts";
import { extrasOf } from "./extras.ts";
import { isComplete, isFailed } from "./jobs.ts";
import type { LiveJob, LivePod } from "./live.ts";
import { observe } from "./observe.ts";
import { failingWithinMs, type RecordsStep } from "./records-end.ts";
import { ownerOf } from "./resources/child.ts";
import { eraseJob } from "./resources/erase-job.ts";
import { planConfigMap } from "./resources/plan-config-map.ts";
import { EndingRecords, letRecordsGo, removesRecords } from "./retire-records.ts";
import type { Seen } from "./seen.ts";
import { syncPod } from "./sync-pod.ts";
import { chatmailServers, type LiveServer, type World } from "./world.ts";

type ResolvedServer = ChatmailServer & KubeObject;

export interface Retiring {
  world: World;
  log: Log;
  signal: AbortSignal;
  /** Tells the status what is being done. */
  show: (problem: Problem) => Promise<unknown>;
}

/** While a pod closes, its queue is looked at so often; its reports come sooner. */
const againMs = 5_000;

/** One step of the end of a server. Safe to repeat after a crash at any line. */
export async function retire(live: LiveServer, retiring: Retiring): Promise<Outcome> {
  const { world, log, signal, show } = retiring;
  if (!isHeld(live)) return {};
  const { namespace } = live.metadata;
  const resolved = world.resolve(live);
  const server = "spec" in resolved ? { ...live, spec: resolved.spec } : undefined;
  const isLeft = resolved.management === "Unmanaged" || isOrphaned(live, world);
  if (await isNamespaceEnding(namespace, world, signal)) {
    // all goes, and nothing can be created
    if (server && !isLeft) await letRecordsGo(server, world, signal);
    await release(live, world, signal);
    return {};
  }
  const records = isLeft || !server ? undefined : await EndingRecords.open(server, world, signal);
  const { step, left } = isLeft
    ? { step: { is: "letGo", says: "all objects are left as they are" } as const, left: undefined }
    : await stepWithRecords(live, server, records, retiring);
  const { is, says } = step;
  if (is === "letGo") {
    if (step.erase && server) await startErasing(server, retiring);
    if (!isLeft) await settleOwner(live, policyOf(live, server), retiring);
    log.info({ says }, "server let go");
    tell(live, step, policyOf(live, server), world);
    if (left !== undefined) world.events.note(live, { type: "Warning", reason: "Deleting", note: left });
    await release(live, world, signal);
    return {};
  }
  if (server && is === "close") await close(server, retiring);
  if (is === "stop") {
    tell(live, step, policyOf(live, server), world);
    await stopPods(live, retiring);
  }
  if (server && is === "erase") await startErasing(server, retiring);
  await show({ reason: "Deleting", message: says });
  return { againMs };
}

/**
 * Puts the finalizer on a server that needs it, and takes it from one that does not. What its
 * deletion decides about is nobody's until then. `ends`: its namespace does.
 */
export async function keepFinalizer(
  server: ResolvedServer,
  seen: Seen,
  world: World,
  signal: AbortSignal,
): Promise<{ sent: boolean; ends: boolean }> {
  const disowned = await disownClaim(server, seen, world, signal);
  const isWanted = server.spec.storage.reclaimPolicy !== "Retain" || removesRecords(server);
  // a namespace that ends takes the pods first, and maybe our rights before it comes to the servers
  const mayEnd = !isHeld(server) || !seen.pod || seen.pod.metadata.deletionTimestamp !== undefined;
  const ends = isWanted && mayEnd && (await isNamespaceEnding(server.metadata.namespace, world, signal));
  const options = { name: deletionFinalizer, present: isWanted && !ends, store: world.stores.servers, signal };
  return { sent: (await world.applier.finalizer(chatmailServers, server, options)) || disowned, ends };
}

/** An earlier version gave it to the server, or `operator release` did. */
async function disownClaim(server: ResolvedServer, { volumeClaim: claim }: Seen, world: World, signal: AbortSignal) {
  const owners = claim?.metadata.ownerReferences ?? [];
  const others = owners.filter(({ uid }) => uid !== server.metadata.uid);
  if (!claim || others.length === owners.length) return false;
  const { namespace, name, resourceVersion } = claim.metadata;
  const patch = { metadata: { resourceVersion, ownerReferences: others } };
  const at = { ...(namespace && { namespace }), name };
  world.stores.volumeClaims.wrote(await world.client.merge(resources.volumeClaim, at, patch, signal));
  return true;
}

/**
 * Before the operator is removed, and nobody is there to let servers go: a deletion then does what
 * their policy says, as far as Kubernetes can do it by itself.
 */
export async function releaseAll({ world, log, signal }: Omit<Retiring, "show">): Promise<number> {
  const held = world.stores.servers.all().filter(isHeld);
  for (const server of held) {
    const resolved = world.resolve(server);
    const policy = policyOf(server, "spec" in resolved ? { ...server, spec: resolved.spec } : undefined);
    await settleOwner(server, policy, { world, signal });
    await release(server, world, signal);
    log.info({ server: `${server.metadata.namespace}/${server.metadata.name}`, policy }, "server released");
  }
  return held.length;
}

/**
 * When the operator ends because its own namespace does: nobody will be there to let the servers in
 * it go.
 */
export async function releaseWithNamespace(namespace: string, world: World, signal: AbortSignal): Promise<number> {
  const held = world.stores.servers.all().filter((each) => each.metadata.namespace === namespace && isHeld(each));
  if (held.length === 0 || !(await isNamespaceEnding(namespace, world, signal))) return 0;
  await Promise.all(held.map((server) => release(server, world, signal)));
  return held.length;
}

const isHeld = ({ metadata }: KubeObject) => metadata.finalizers?.includes(deletionFinalizer) ?? false;

const release = (server: LiveServer, { applier }: Pick<World, "applier">, signal: AbortSignal) =>
  unlessGone(() => applier.finalizer(chatmailServers, server, { name: deletionFinalizer, present: false, signal }));

/** False where the operator may not ask. */
async function isNamespaceEnding(name: string, { client }: Pick<World, "client">, signal: AbortSignal) {
  try {
    const namespace = await client.get(resources.namespace, { name }, signal);
    return namespace === undefined || namespace.metadata.deletionTimestamp !== undefined;
  } catch (error) {
    if (isApiError(error, 403)) return false;
    throw error;
  }
}

/** `kubectl delete --cascade=orphan`: the objects stay, and nobody looks after them. */
function isOrphaned({ metadata }: LiveServer, { stores }: World): boolean {
  if (metadata.finalizers?.includes("orphan")) return true;
  const set = stores.statefulSets.get(metadata.namespace, childNames(metadata.name).statefulSet);
  return set !== undefined && !set.metadata.ownerReferences?.some(({ uid }) => uid === metadata.uid);
}

/** Of a spec that nobody can read, what a person wrote of it. */
function policyOf(live: LiveServer, server: ChatmailServer | undefined): ReclaimPolicy {
  if (server) return server.spec.storage.reclaimPolicy;
  // without the spec no Job can be made that deletes mail alone
  return live.spec?.storage?.reclaimPolicy === "Delete" ? "Delete" : "Retain";
}

const isForced = ({ annotations: given }: LiveServer["metadata"]): boolean =>
  !["", "false", undefined].includes(given?.[annotations.forceDelete]);

/**
 * No new mail before the queue is sent, and the keys stay in the DNS until it is: peers verify what
 * is sent last, too. `left`: what is told of records that stay in the zone.
 */
async function stepWithRecords(
  live: LiveServer,
  server: ResolvedServer | undefined,
  records: EndingRecords | undefined,
  retiring: Retiring,
): Promise<{ step: Step; left?: string }> {
  const now = retiring.world.now();
  const deleted = new Date(live.metadata.deletionTimestamp ?? now);
  if (!records) return { step: await stepOf(live, server, retiring, deleted) };
  if (isForced(live.metadata)) {
    records.letGo();
    return { step: await stepOf(live, server, retiring, deleted) };
  }
  const sinceMs = now.getTime() - deleted.getTime();
  const routes: RecordsStep = records.areGoing ? { is: "done" } : records.next("routes", sinceMs);
  if (routes.is === "wait") return { step: routes };
  const closedAt =
    routes.is === "givenUp" ? new Date(Math.min(now.getTime(), deleted.getTime() + failingWithinMs)) : routes.at;
  const step = await stepOf(live, server, retiring, closedAt ?? deleted);
  if (step.is === "close") return { step };
  const rest = records.next("all", sinceMs);
  if (rest.is === "wait") return { step: rest };
  return { step, ...(rest.is === "givenUp" && { left: records.left(rest.why) }) };
}

/** `since`: when no new mail comes any more, or the deletion. */
async function stepOf(
  live: LiveServer,
  server: ResolvedServer | undefined,
  { world, signal }: Retiring,
  since: Date,
): Promise<Step> {
  const policy = policyOf(live, server);
  const { namespace, name, uid } = live.metadata;
  const names = childNames(name);
  const pod = world.stores.pods.get(namespace, names.pod);
  const set = world.stores.statefulSets.get(namespace, names.statefulSet);
  const status = pod && world.relays.of(pod);
  const report = status && "report" in status ? status.report : undefined;
  const at = { namespace, name: claimInUse(live, world) };
  const hasVolume = policy === "RetainIdentity" && (await world.client.get(resources.volumeClaim, at, signal));
  const closing = closingHash(world.stores.configMaps.get(namespace, names.planConfigMap)?.data?.[planFile]);
  const job = world.stores.jobs.get(namespace, eraseJobName({ name, uid }));
  return nextStep({
    policy,
    forced: isForced(live.metadata),
    sinceMs: world.now().getTime() - since.getTime(),
    hasVolume: Boolean(hasVolume),
    pod: podState(pod),
    left: report?.closing?.left,
    cannotClose: closing !== undefined && report?.plan?.used === closing && report.closing === undefined,
    startsPods: set !== undefined && set.spec?.replicas !== 0,
    eraseJob: jobState(job),
  });
}

function podState(pod: LivePod | undefined): Ending["pod"] {
  if (!pod) return "missing";
  if (pod.metadata.deletionTimestamp) return "ending";
  const isReady = pod.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True");
  return isReady ? "ready" : "notReady";
}

function jobState(job: LiveJob | undefined): Ending["eraseJob"] {
  if (!job) return "missing";
  return isComplete(job) ? "done" : isFailed(job) ? "failed" : "running";
}

/** The digest of the plan that closes the pod, once it has been given that. */
function closingHash(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const { closing } = JSON.parse(text) as { closing?: boolean };
  return closing ? planHash(text) : undefined;
}

/** Tells the pod, where it still has a plan: an object that is gone is not made again. */
async function close(server: ResolvedServer, { world, signal }: Retiring): Promise<void> {
  const seen = await observe(server, world, signal);
  if (!seen.configMap || !isMadeFor(server, seen.configMap)) return;
  const plan = planConfigMap(server, { ownPages: !seen.website?.pages?.problem, closing: true });
  // what a person has changed meanwhile, or the garbage collector deleted, is not put back
  const withUid = { ...plan, metadata: { ...plan.metadata, uid: seen.configMap.metadata.uid } };
  await unlessGone(async () => {
    const options = { live: seen.configMap, store: world.stores.configMaps, signal };
    await world.applier.apply(resources.configMap, withUid as typeof plan, options);
    const configMap = world.stores.configMaps.get(plan.metadata.namespace, plan.metadata.name);
    await syncPod(server, { ...seen, configMap }, world, signal);
  });
}

/** No pod follows the one that is there. */
async function stopPods({ metadata }: LiveServer, { world, signal }: Retiring): Promise<void> {
  const at = { namespace: metadata.namespace, name: childNames(metadata.name).statefulSet };
  await unlessGone(() => world.client.merge(resources.statefulSet, at, { spec: { replicas: 0 } }, signal));
}

async function startErasing(server: ResolvedServer, { world, log, signal }: Retiring): Promise<void> {
  const image = server.spec.image.reference ?? world.relayImage;
  const claimName = claimInUse(server, world);
  const job = eraseJob({ server, image, tlsSecretName: "", secretsHash: "", extras: extrasOf(server, []), claimName });
  try {
    world.stores.jobs.wrote(await world.client.create(resources.job, job, signal));
    log.info({ job: job.metadata.name }, "deleting the mail");
  } catch (error) {
    if (!isApiError(error, 409)) throw error;
  }
}

/**
 * With Delete the claim and the Secrets are given to the server, so that they go with it; else
 * nobody owns them. Those of another domain, which it never used, are left alone.
 */
async function settleOwner(
  live: LiveServer,
  policy: ReclaimPolicy,
  { world, signal }: Pick<Retiring, "world" | "signal">,
): Promise<void> {
  const { namespace, name } = live.metadata;
  const names = childNames(name);
  const inUse = claimInUse(live, world);
  const claims = world.claimsByServer.get(`${namespace}/${name}`).map(({ metadata }) => metadata.name);
  // copies, and claims that were in use before: their mail must not outlive the server either
  const besides = claims.filter((each) => each !== inUse);
  const kept: readonly (readonly [Resource, string])[] = [
    ...[inUse, ...besides].map((each) => [resources.volumeClaim, each] as const),
    ...[names.tlsSecret, names.dkimSecret, names.invitesSecret, names.turnSecret].map(
      (each) => [resources.secret, each] as const,
    ),
  ];
  for (const [resource, each] of kept) {
    const at = { namespace, name: each };
    const object = await world.client.get(resource, at, signal);
    if (!object || !isOfServer(live, object)) continue;
    const owners = object.metadata.ownerReferences ?? [];
    const others = owners.filter(({ kind }) => kind !== chatmailServer.kind);
    const isCopy = resource === resources.volumeClaim && each !== inUse && policy !== "Retain";
    const wanted = policy === "Delete" || isCopy ? [...others, ownerOf(live)] : others;
    if (wanted.length === owners.length && wanted.every(({ uid }) => owners.some((owner) => owner.uid === uid)))
      continue;
    const { resourceVersion } = object.metadata;
    await unlessGone(() =>
      world.client.merge(resource, at, { metadata: { resourceVersion, ownerReferences: wanted } }, signal),
    );
  }
}

function isOfServer(live: LiveServer, object: KubeObject): boolean {
  const domain = object.metadata.annotations?.[annotations.domain];
  return isMadeFor(live, object) && (domain === undefined || domain === live.spec.domain);
}

const claimInUse = (live: LiveServer, { claimsByServer }: World): string =>
  claimNameOf(live, claimsByServer.get(`${live.metadata.namespace}/${live.metadata.name}`));

/** Objects may vanish under our hands. */
async function unlessGone(write: () => Promise<unknown>): Promise<void> {
  try {
    await write();
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404) throw error;
  }
}

/** At the server, for whoever looks why it is gone. */
function tell(live: LiveServer, step: Step, policy: ReclaimPolicy, world: World): void {
  const { says, warning } = { warning: undefined, ...step };
  const claim = claimInUse(live, world);
  const left = warning !== undefined && policy === "RetainIdentity" && step.is === "letGo";
  const cure = `mail is left in claim ${claim}: delete the claim if nobody needs the accounts`;
  if (warning !== undefined)
    world.events.note(live, { type: "Warning", reason: "Deleting", note: left ? `${warning}; ${cure}` : warning });
  else if (step.is === "letGo") world.events.note(live, { type: "Normal", reason: "Deleting", note: says });
}
