/** Writes to the cluster: owned objects, keys and status, each only where something differs. */
import type { ChatmailServer, ChatmailServerStatus, WrittenServer } from "../../api/chatmail-server.ts";
import { Failure } from "../../api/failure.ts";
import { annotations, apiVersion, chatmailServer, childNames } from "../../api/names.ts";
import { ApiError, isApiError } from "../../kube/client.ts";
import { resources } from "../../kube/kinds.ts";
import { type KubeObject, keyOf } from "../../kube/object.ts";
import { accountSecretOf, makeAccount } from "../identity/acme-account.ts";
import { beginIdentities, makeIdentity, mendMetadata } from "../identity/make.ts";
import { problemOf, toMake } from "../identity/read.ts";
import { isMadeFor, notMadeFor, secretNameOf } from "../identity/secret.ts";
import { identities, identityNames } from "../identity/table.ts";
import type { Concern, OwnedFailure } from "../problem.ts";
import {
  certificateChildren,
  type DesiredChild,
  desiredChildren,
  dnsChildren,
  lastingChildren,
  namedIn,
  podChildren,
} from "./desired.ts";
import { isLost } from "./losses.ts";
import { preflight } from "./preflight.ts";
import type { PodTurn, Rendered, Update } from "./revision.ts";
import type { Seen } from "./seen.ts";
import { takeTurn } from "./turn.ts";
import { chatmailServers, storeOf, type World } from "./world.ts";

/** What was written, and what was refused. */
export interface Done {
  /** Kind and name of what was sent. */
  sent: string[];
  failures: OwnedFailure[];
  /** What waits for what comes by itself. */
  pending: OwnedFailure[];
  /** Kind and name of what is as it has to be. */
  applied: Set<string>;
  /** Kind and name of what the API server would not take as it is. */
  refused: Set<string>;
}

export const nothingDone = (): Done => ({
  sent: [],
  failures: [],
  pending: [],
  applied: new Set(),
  refused: new Set(),
});

/**
 * Objects that do not depend on keys. Each failure is its own: the others are applied. Throws only
 * where the API server can't be reached.
 */
export async function applyLasting(
  server: ChatmailServer,
  seen: Seen,
  done: Done,
  world: World,
  signal: AbortSignal,
): Promise<void> {
  await applyChildren(server, lastingChildren(server, seen, world), done, world, signal);
}

/**
 * What runs: applied when all that it depends on was. A pod of another revision takes the place of
 * the one that runs when it is the server's turn, and when it could start.
 */
export async function applyPod(
  server: ChatmailServer,
  seen: Seen,
  done: Done,
  world: World,
  signal: AbortSignal,
): Promise<PodTurn> {
  const turn = takeTurn(server, seen, world);
  const { update, goes } = turn;
  const children = (pod: Rendered | undefined) =>
    podChildren(server, seen, { relayImage: world.relayImage, pod: pod ?? "as it is" });
  const setIn = (of: readonly DesiredChild[]) => of.find(({ resource }) => resource === resources.statefulSet);
  const isToStay = seen.statefulSet !== undefined && !isLost("volume", server, seen);
  const wanted = children(goes ? update.next : (update.kept ?? (isToStay ? undefined : update.next)));
  const set = setIn(wanted);
  const found = set && (await preflight(server, set.object, seen, world, signal));
  if (found && "held" in found) done.failures.push(found.held);
  if (found && "pending" in found) done.pending.push(found.pending);
  await applyChildren(server, found ? children(update.kept) : wanted, done, world, signal);
  const isRefused = set !== undefined && done.refused.has(namedIn(set.object));
  const isHeld = found !== undefined && "held" in found;
  if (goes && update.needsTurn && (isHeld || isRefused)) world.rollouts.release(keyOf(server));
  return turn;
}

/** Of the domain: the copy of its certificate, and its records, when their keys are there. */
export async function applyDomain(
  server: ChatmailServer,
  seen: Seen,
  done: Done,
  world: World,
  signal: AbortSignal,
): Promise<void> {
  const children = [...certificateChildren(server, seen), ...dnsChildren(server, seen)];
  await applyChildren(server, children, done, world, signal);
}

const missingIdentities = (server: ChatmailServer, seen: Seen) =>
  toMake(seen.identity).filter((name) => name !== "dkim" || !isLost("dkim", server, seen));

/** Their keys are made while other objects are written. */
export const beginMissingIdentities = (server: ChatmailServer, seen: Seen, world: World): void =>
  beginIdentities(server, missingIdentities(server, seen), world);

/**
 * Makes the keys that are missing and puts labels and owners of the others right, each by itself.
 * True where a key was made.
 */
export async function keepIdentities(
  server: ChatmailServer,
  seen: Seen,
  done: Done,
  world: World,
  signal: AbortSignal,
): Promise<boolean> {
  const { identity } = seen;
  const make = missingIdentities(server, seen);
  let made = false;
  for (const name of identityNames) {
    const found = identity[name];
    const { concern } = identities[name];
    const what = `Secret ${secretNameOf(server, name)}`;
    const problem = problemOf(found);
    if (found?.state === "foreign" && problem) done.failures.push({ ...problem, concern });
    const write = async () => {
      if (await mendMetadata(server, found, world, signal)) done.sent.push(what);
      if (!make.includes(name)) return;
      await makeIdentity(server, name, identity, world, signal);
      done.sent.push(what);
      made = true;
    };
    await noting(done, { what, concern }, write);
  }
  return made;
}

/** True where the key of the ACME account was made. */
export async function keepAccount(
  server: ChatmailServer,
  seen: Seen,
  done: Done,
  world: World,
  signal: AbortSignal,
): Promise<boolean> {
  if (!seen.certificate.acme?.missing) return false;
  const what = `Secret ${accountSecretOf(server)}`;
  await noting(done, { what, concern: "CertificateReady" }, async () => {
    await makeAccount(server, world, signal);
    done.sent.push(what);
  });
  return true;
}

export async function applyChildren(
  server: ChatmailServer,
  children: readonly DesiredChild[],
  done: Done,
  world: World,
  signal: AbortSignal,
): Promise<void> {
  const found = await findChildren(children, world, signal);
  for (const [nth, child] of children.entries()) {
    const { concern, after = [], object } = child;
    if (!after.every((each) => done.applied.has(each))) continue;
    const what = namedIn(object);
    const live = found[nth];
    if (live && child.adopts !== live.metadata.uid && !isMadeFor(server, live)) {
      done.failures.push({ reason: "ApplyConflict", message: notMadeFor(live), concern });
      continue;
    }
    await noting(done, { what, concern }, async () => {
      try {
        if (await applyChild(child, live, done, world, signal)) done.sent.push(what);
        done.applied.add(what);
      } catch (error) {
        if (!child.absent || !isApiError(error, 404)) throw error;
        if (child.absent !== "unneeded") done.failures.push({ ...child.absent, concern });
      }
    });
  }
}

/**
 * Kind and name of the owned objects that are not as the spec says: nothing is sent. What only a
 * new version of the operator would change is not among them.
 */
export function waitingChanges(server: ChatmailServer, seen: Seen, { next, kept }: Update, world: World): string[] {
  const { relayImage, operatorNamespace } = world;
  const pod = next?.cause === "edit" ? next : (kept ?? "as it is");
  return desiredChildren(server, seen, { relayImage, operatorNamespace, pod })
    .filter(({ resource, object }) => {
      const live = storeOf(world.stores, resource)?.at(keyOf(object));
      return live && !world.applier.isApplied(resource, object, live);
    })
    .map(({ object }) => namedIn(object));
}

/** What is not in a store may still be there: somebody else's, under the name that we want. */
async function findChildren(children: readonly DesiredChild[], world: World, signal: AbortSignal) {
  return Promise.all(
    children.map(async ({ resource, object }) => {
      const { namespace, name } = object.metadata;
      const at = { ...(namespace && { namespace }), name };
      return storeOf(world.stores, resource)?.at(keyOf(object)) ?? world.client.get(resource, at, signal);
    }),
  );
}

/** True when it was sent. */
async function applyChild(
  { resource, object, concern, otherwise }: DesiredChild,
  found: KubeObject | undefined,
  done: Done,
  world: World,
  signal: AbortSignal,
): Promise<boolean> {
  const store = storeOf(world.stores, resource);
  const live = store?.at(keyOf(object)) ?? found;
  // Manual edits of fields that we set are reverted; other fields are left alone.
  const apply = async (wanted: KubeObject) =>
    (await world.applier.apply(resource, wanted, { live, store, force: true, signal })).sent;
  try {
    return await apply(object);
  } catch (error) {
    if (!otherwise || !isApiError(error, 403, 422)) throw error;
    const { reason, says } = otherwise;
    const sent = await apply(otherwise.object);
    done.failures.push({ reason, message: says(error.message), concern });
    return sent;
  }
}

/** What the API server refuses is expected, and noted; `what` it refused begins the message. */
export async function noting(
  done: Done,
  of: { what: string; concern: Concern },
  write: () => Promise<void>,
): Promise<void> {
  try {
    await write();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status < 500) done.refused.add(of.what);
    const message = `${of.what}: ${error.message}${cureOf(error.message)}`;
    done.failures.push({ reason: "ApplyFailed", message, concern: of.concern });
  }
}

/** What the API server's own words leave open: where the cluster as a whole has run out. */
const cures: readonly { of: RegExp; cure: string }[] = [
  {
    of: /nodePort: range is full/,
    cure: "all node ports of the cluster are taken: set network.service.allocateNodePorts to false if your load balancer reaches pods without them, or widen --service-node-port-range of the API server",
  },
  {
    of: /failed to allocate (?:a )?(?:serviceIP|IP|cluster ?IP)/i,
    cure: "all Service addresses of the cluster are taken: widen --service-cluster-ip-range of the API server, or add a ServiceCIDR",
  },
];

const cureOf = (message: string): string => {
  const found = cures.find(({ of }) => of.test(message));
  return found ? `; ${found.cure}` : "";
};

/**
 * Throws Failure where mailboxes or keys of another domain are kept under the name of this server,
 * before anything is written.
 */
export function refuseKeptOfOthers(server: ChatmailServer, { identity }: Seen, world: World): void {
  const secrets = Object.values(identity).map((each) => (each && "secret" in each ? each.secret : undefined));
  refuseOtherDomain(server, [...secrets, ...keptUnderTheName(server, world)]);
}

/** Also what this server would not write now, such as invites that are there: it would use them. */
function keptUnderTheName(
  server: ChatmailServer,
  { stores, claimsByServer }: Pick<World, "stores" | "claimsByServer">,
) {
  const { namespace, name } = server.metadata;
  return [
    stores.volumeClaims.get(namespace, childNames(name).volumeClaim),
    ...claimsByServer.get(`${namespace}/${name}`),
    ...identityNames.map((each) => stores.secrets.get(namespace, secretNameOf(server, each))),
  ];
}

/** Throws Failure for the first of another domain. */
export function refuseOtherDomain(
  { metadata, spec }: ChatmailServer,
  found: readonly (KubeObject | undefined)[],
): void {
  const domainOf = (object: KubeObject) => object.metadata.annotations?.[annotations.domain] ?? spec.domain;
  const others = found.filter((object) => object !== undefined).filter((object) => domainOf(object) !== spec.domain);
  const [first] = others;
  if (!first) return;
  const kind = (object: KubeObject) => (object.kind === "PersistentVolumeClaim" ? "pvc" : object.kind.toLowerCase());
  const named = [...new Set(others.map((object) => `${kind(object)}/${object.metadata.name}`))].sort().join(" ");
  throw new Failure(
    "ApplyConflict",
    `mailboxes or keys of ${domainOf(first)} were kept under the name ${metadata.name}: use another name for this server, or delete them permanently: kubectl -n ${metadata.namespace} delete ${named}`,
  );
}

/** True when it was sent. */
export async function applyStatus(
  server: WrittenServer & KubeObject,
  status: ChatmailServerStatus,
  world: World,
  signal: AbortSignal,
): Promise<boolean> {
  const { namespace, name } = server.metadata;
  const object = { apiVersion, kind: chatmailServer.kind, metadata: { namespace, name }, status };
  try {
    const result = await world.applier.apply(chatmailServers, object, {
      live: server,
      store: world.stores.servers,
      force: true,
      subresource: "status",
      signal,
    });
    return result.sent;
  } catch (error) {
    // Deleted meanwhile: there is nobody left to tell.
    if (isApiError(error, 404)) return false;
    throw error;
  }
}
