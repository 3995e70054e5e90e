import type { ChatmailServer, ChatmailServerStatus, Condition, WrittenServer } from "../../api/chatmail-server.ts";
import { Failure } from "../../api/failure.ts";
import { childNames } from "../../api/names.ts";
import { type Reason, reasons, whoActs } from "../../api/reasons.ts";
import { isPassing } from "../../kube/api-error.ts";
import type { Outcome } from "../../kube/controller.ts";
import type { Note } from "../../kube/events.ts";
import type { Log } from "../../kube/log.ts";
import { type KubeObject, keyOf } from "../../kube/object.ts";
import { messageOf } from "../../lib/text.ts";
import type { Problem } from "../problem.ts";
import {
  applyDomain,
  applyLasting,
  applyPod,
  applyStatus,
  beginMissingIdentities,
  keepAccount,
  keepIdentities,
  nothingDone,
  noting,
  refuseKeptOfOthers,
  waitingChanges,
} from "./act.ts";
import { lossesIn } from "./losses.ts";
import { moveVolume } from "./move-volume.ts";
import { observe } from "./observe.ts";
import { wantedCertificate } from "./observe-acme.ts";
import { askIssuerAgainMs } from "./observe-cert-manager.ts";
import { wantedNames } from "./observe-dns.ts";
import { stallsAt } from "./progress.ts";
import { keepFinalizer, retire } from "./retire.ts";
import { letRecordsGo } from "./retire-records.ts";
import type { PodTurn, Update } from "./revision.ts";
import { rotateKeys } from "./rotate-keys.ts";
import { freshLook, rotationDeadline } from "./rotation-step.ts";
import type { Judged, Seen } from "./seen.ts";
import { domainProblem, imageProblem, type ResolvedSpec } from "./spec.ts";
import { nextDeadline, statusOf } from "./status.ts";
import { syncPod } from "./sync-pod.ts";
import { noteMember, updateFor } from "./turn.ts";
import { backupDeadline } from "./verdicts/backup.ts";
import { endingNote, wantedServed } from "./verdicts/served.ts";
import type { LiveServer, World } from "./world.ts";

type ResolvedServer = ChatmailServer & KubeObject;

/**
 * Brings one ChatmailServer a step closer to its spec. Safe to repeat after a crash at any line.
 * An expected failure is shown as Ready=False and tried again; anything else is shown as
 * InternalError and thrown.
 */
export async function reconcileServer(key: string, world: World, log: Log, signal: AbortSignal): Promise<Outcome> {
  try {
    return await reconcile(key, world, log, signal);
  } catch (thrown) {
    if (!isPassing(thrown)) {
      // one that can't be judged must not keep all others waiting
      world.rollouts.note(key, undefined);
      await showInternalError(key, thrown, world, log, signal);
    }
    throw thrown;
  }
}

async function reconcile(key: string, world: World, log: Log, signal: AbortSignal): Promise<Outcome> {
  const live = world.stores.servers.at(key);
  if (!live) {
    world.rollouts.forget(key);
    return {};
  }
  const other = await world.ownership.otherIn(live.metadata.namespace, signal);
  if (other !== undefined) {
    world.rollouts.note(key, undefined);
    world.served.want(key, undefined);
    return { againMs: world.ownership.leaveTo(other, live) };
  }

  const resolved = world.resolve(live);
  const { management } = resolved;
  if (live.metadata.deletionTimestamp) {
    world.rollouts.note(key, undefined);
    // the address of its pod may soon be another's
    world.served.want(key, undefined);
    const show = (refused: Problem) => judge({ server: live, management, refused }, world, log, signal);
    return retire(live, { world, log, signal, show });
  }
  const namespaceRefused = namespaceProblem(live, world);
  const refused = namespaceRefused ?? problemOfSpec(live, resolved, world);
  if (refused || !("spec" in resolved)) {
    world.rollouts.note(key, undefined);
    await judge(await refusedServer(live, resolved, refused, world, signal), world, log, signal);
    // nothing tells when it may be listed again
    return namespaceRefused ? { againMs: 60_000 } : {};
  }

  const server = { ...live, spec: resolved.spec };
  if (management === "Unmanaged") {
    world.rollouts.note(key, undefined);
    return look(server, world, log, signal);
  }
  const { domain } = server.spec;
  const { uid } = server.metadata;
  const atWork = world.domainsAtWork.get(domain);
  if (atWork !== undefined && atWork !== uid) return { retry: true };
  world.domainsAtWork.set(domain, uid);
  try {
    return await serve(server, world, log, signal);
  } finally {
    world.domainsAtWork.delete(domain);
  }
}

/** What runs by an earlier spec is judged like all that runs. */
async function refusedServer(
  live: LiveServer,
  resolved: ResolvedSpec,
  refused: Problem | undefined,
  world: World,
  signal: AbortSignal,
): Promise<Judged & { server: KubeObject }> {
  const { namespace, name } = live.metadata;
  const runs = world.stores.statefulSets.get(namespace, childNames(name).statefulSet) !== undefined;
  if (!runs || !("spec" in resolved) || refused?.reason === "NamespaceForbidden")
    return { server: live, management: resolved.management, refused };
  const server = { ...live, spec: resolved.spec };
  return { server, seen: await observe(server, world, signal), refused };
}

/** Reads and judges, and changes nothing. */
async function look(server: ResolvedServer, world: World, log: Log, signal: AbortSignal): Promise<Outcome> {
  const seen = await observe(server, world, signal);
  // it is verified, and nothing is published
  const { update: _, ...wanted } = wantedNames(server, seen) ?? {};
  world.names.want(keyOf(server), "domain" in wanted ? wanted : undefined);
  world.certificates.want(keyOf(server), undefined);
  world.served.want(keyOf(server), wantedServed(server, seen));
  const status = await judge({ server, seen }, world, log, signal);
  return { againMs: againMs(server, seen, status, world.now()) };
}

/** Why it is not carried out. */
function problemOfSpec(server: LiveServer, resolved: ResolvedSpec, world: World): Problem | undefined {
  if (!("spec" in resolved)) return resolved.problem;
  if (resolved.management === "Unmanaged") return undefined;
  return (
    imageProblem(resolved.spec, world.allowedImages) ??
    domainProblem(server, world.serversByDomain.get(resolved.spec.domain), {
      isServing: (each) => isServing(each, world),
      resolve: world.resolve,
      allowedImages: world.allowedImages,
    })
  );
}

/** What its spec asks for, and what the status says of it. */
async function serve(server: ResolvedServer, world: World, log: Log, signal: AbortSignal): Promise<Outcome> {
  const { management } = server.spec;
  const isManaged = management === "Managed";
  const done = nothingDone();
  let turn: PodTurn | undefined;
  let ends = false;
  let seen = await observe(server, world, signal);
  try {
    refuseKeptOfOthers(server, seen, world);
    beginMissingIdentities(server, seen, world);
    // before there is anything that its end has to take care of
    await noting(done, { what: "finalizer", concern: "UpToDate" }, async () => {
      const kept = await keepFinalizer(server, seen, world, signal);
      if (kept.sent) done.sent.push("finalizer");
      ends = kept.ends;
    });
    if (isManaged) await applyLasting(server, seen, done, world, signal);
    // Paused keeps the pod, its volume and its Service as they are, and no more.
    const madeAccount = await keepAccount(server, seen, done, world, signal);
    const made = (await keepIdentities(server, seen, done, world, signal)) || madeAccount;
    // What runs is described by what is in the cluster.
    if (made) seen = await observe(server, world, signal);
    seen = await rotateKeys(server, seen, done, world, signal);
    await applyDomain(server, seen, done, world, signal);
    if (isManaged && (await moveVolume(server, seen, done, world, signal))) seen = await observe(server, world, signal);
    if (isManaged) turn = await applyPod(server, seen, done, world, signal);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    done.failures.push({ reason: error.reason, message: error.message, concern: "UpToDate" });
  }
  const { sent, failures, pending } = done;
  if (sent.length > 0) {
    log.info({ sent }, "owned objects applied");
    seen = await observe(server, world, signal);
  }
  if (turn?.goes && sent.some((what) => what.startsWith("StatefulSet "))) noteUpdate(server, turn.update, world, log);
  // where nothing was sent, the server is as it was when it asked for its turn
  const after = turn && sent.length === 0 ? { ...turn, goes: false } : turnAfter(server, seen, turn, world);
  seen = { ...seen, turn: after };
  for (const { reason, message } of failures) log.warn({ reason, message }, "owned object not applied, retrying");
  if (isManaged && (await syncPod(server, seen, world, signal))) log.debug({}, "pod brought up to date");

  if (!isManaged) seen = { ...seen, waiting: waitingChanges(server, seen, after.update, world) };
  // its Secrets, and our rights, may be gone before it is deleted itself
  if (ends) await letRecordsGo(server, world, signal);
  else {
    const names = wantedNames(server, seen);
    world.names.want(keyOf(server), names && { ...names, ...freshLook(server, seen, world.now()) });
  }
  world.certificates.want(keyOf(server), wantedCertificate(server, seen));
  world.served.want(keyOf(server), wantedServed(server, seen));
  const status = await judge({ server, seen, failures, pending }, world, log, signal);
  return { againMs: againMs(server, seen, status, world.now()), ...(failures.length > 0 && { retry: true }) };
}

/** What became of a server that had its turn, or has none; its rollout is told. */
function turnAfter(server: ResolvedServer, seen: Seen, turn: PodTurn | undefined, world: World): PodTurn {
  const update = updateFor(server, seen, world);
  noteMember(server, seen, update, world);
  const waits = update.next && turn?.update.next?.revision.id === update.next.revision.id ? turn.waits : undefined;
  return { update, goes: false, waits };
}

/** For people: why a pod is replaced. */
function noteUpdate(server: ResolvedServer, { next, failed, kept }: Update, world: World, log: Log): void {
  if (!next || next.cause === "created") return;
  const { id } = next.revision;
  log.info({ cause: next.cause, from: kept?.revision.id, to: id }, "relay pod replaced");
  const note =
    next.cause === "rollback"
      ? `back to revision ${id}: ${failed?.message}`
      : `the relay pod is replaced: revision ${id} (${next.cause}) after ${kept?.revision.id ?? "an unknown one"}`;
  const [type, reason] =
    next.cause === "rollback" ? (["Warning", "UpdateFailed"] as const) : (["Normal", "Updating"] as const);
  world.events.note(server, { type, reason, note });
}

/** What a person restores without our labels is not watched. */
const lossAgainMs = 60_000;

/** Where objects of a kind can't be listed, what is missing can't be told from what is there. */
function namespaceProblem({ metadata: { namespace } }: LiveServer, world: World): Problem | undefined {
  const leftOut = world.cache.leftOut(namespace);
  if (!leftOut) return undefined;
  const { plural, said } = leftOut;
  const message = `the operator can't list ${plural} in namespace ${namespace}, so it changes nothing there: ${said}. Grant it the Role of its chart, or remove the namespace from those that it watches`;
  return { reason: "NamespaceForbidden", message };
}

/** Its pod has been set up, and the operator may still carry it out. */
function isServing(server: WrittenServer, world: World): boolean {
  const { metadata } = server;
  if (metadata.deletionTimestamp || world.resolve(server).management === "Unmanaged") return false;
  const owners = world.stores.statefulSets.get(metadata.namespace, childNames(metadata.name).statefulSet)?.metadata;
  return owners?.ownerReferences?.some(({ uid }) => uid === metadata.uid) ?? false;
}

/**
 * What nobody expected: shown on the resource and thrown again, so that it is logged with its
 * stack, counted and retried.
 */
async function showInternalError(key: string, thrown: unknown, world: World, log: Log, signal: AbortSignal) {
  const server = world.stores.servers.at(key);
  if (!server || server.metadata.deletionTimestamp || signal.aborted) return;
  const { management } = world.resolve(server);
  const refused = {
    reason: "InternalError",
    message: `internal error of the operator, please report it: ${messageOf(thrown)}. The relay keeps running unchanged`,
  } as const;
  await judge({ server, management, refused }, world, log, signal).catch((err: unknown) =>
    log.warn({ err }, "status not written"),
  );
}

/** Writes the status, where it is another, and gives it. */
async function judge(
  judged: Judged & { server: KubeObject },
  world: World,
  log: Log,
  signal: AbortSignal,
): Promise<ChatmailServerStatus> {
  const { server } = judged;
  const status = statusOf(judged, world.now());
  const before = readyOf(server.status);
  const after = readyOf(status);
  if (!(await applyStatus(server, status, world, signal))) return status;
  const ending = endingNote(server.status, status);
  if (ending) world.events.note(server, ending);
  if (before?.status === after?.status && before?.reason === after?.reason) return status;
  log.info({ ready: after?.status, reason: after?.reason }, "status changed");
  if (after) world.events.note(server, transitionNote(after));
  return status;
}

/** Of a change of Ready. A warning unless all is well, or about to be. */
function transitionNote({ status, reason, message }: Condition): Note {
  const moving = reason in reasons && whoActs(reason as Reason) === "moving";
  return { type: status === "True" || moving ? "Normal" : "Warning", reason, note: message };
}

const readyOf = (status: LiveServer["status"]) => status?.conditions?.find((condition) => condition.type === "Ready");

/** Until something changes by the passing of time alone. */
function againMs(server: ChatmailServer, seen: Seen, status: ChatmailServerStatus, now: Date): number | undefined {
  const dates = [
    nextDeadline(seen, now),
    stallsAt(status.conditions),
    rotationDeadline(server, seen, now),
    backupDeadline(server, seen, now),
  ].filter((date) => date !== undefined);
  const waits = dates.map((date) => Math.max(0, date.getTime() - now.getTime()) + 1_000);
  if (lossesIn(server, seen).length > 0) waits.push(lossAgainMs);
  const lacking = status.conditions?.find(({ type }) => type === "CertificateReady")?.lastTransitionTime;
  const askMs = askIssuerAgainMs(seen, lacking === undefined ? undefined : new Date(lacking), now);
  if (askMs !== undefined) waits.push(askMs);
  return waits.length > 0 ? Math.min(...waits) : undefined;
}
