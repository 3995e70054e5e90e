/** Writes to the cluster: children and status, each only where something differs. */
import type { ChatmailServer, ChatmailServerStatus } from "../../api/chatmail-server.ts";
import { Failure } from "../../api/failure.ts";
import { annotations, apiVersion, chatmailServer, childNames } from "../../api/names.ts";
import { ApiError, isApiError } from "../../kube/client.ts";
import { type KubeObject, keyOf } from "../../kube/object.ts";
import { makeIdentity, mendMetadata } from "../identity/make.ts";
import { toMake } from "../identity/read.ts";
import { isMadeFor, notMadeFor, secretNameOf } from "../identity/secret.ts";
import { identityNames } from "../identity/table.ts";
import { type DesiredChild, desiredChildren } from "./desired.ts";
import type { Seen } from "./seen.ts";
import { chatmailServers, storeOf, type World } from "./world.ts";

/**
 * Applies what the server needs and makes the keys that are missing. Returns the names of what was sent. Throws Failure for the first object
 * that is refused. Where keys were made, the pod's objects are left for the next time, when they are known.
 */
export async function carryOut(
  server: ChatmailServer,
  seen: Seen,
  world: World,
  signal: AbortSignal,
): Promise<string[]> {
  const { identity } = seen;
  const children = desiredChildren(server, seen, world);
  const found = await findChildren(children, world, signal);
  const secrets = Object.values(identity).map((each) => (each && "secret" in each ? each.secret : undefined));
  refuseOtherDomain(server, [...found, ...secrets, ...keptUnderTheName(server, world)]);
  for (const live of [...found, ...secrets])
    if (live && !isMadeFor(server, live)) throw new Failure("ApplyConflict", notMadeFor(live));

  const sent: string[] = [];
  for (const [nth, child] of children.entries())
    if (await applyChild(child, found[nth], world, signal))
      sent.push(`${child.object.kind} ${child.object.metadata.name}`);
  const mended = await asFailure("Secret", () => mendMetadata(server, identity, world, signal));
  const made = toMake(identity);
  for (const name of made)
    await asFailure(`Secret ${secretNameOf(server, name)}`, () => makeIdentity(server, name, identity, world, signal));
  return [...sent, ...[...mended, ...made.map((name) => secretNameOf(server, name))].map((name) => `Secret ${name}`)];
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
  { resource, object }: DesiredChild,
  found: KubeObject | undefined,
  world: World,
  signal: AbortSignal,
): Promise<boolean> {
  const store = storeOf(world.stores, resource);
  const live = store?.at(keyOf(object)) ?? found;
  // Manual edits of fields that we set are reverted; other fields are left alone.
  const apply = () => world.applier.apply(resource, object, { live, store, force: true, signal });
  return (await asFailure(`${object.kind} ${object.metadata.name}`, apply)).sent;
}

/** What the API server refuses is expected; `what` it refused begins the message. */
async function asFailure<T>(what: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    throw new Failure("ApplyFailed", `${what}: ${error.message}`, { cause: error });
  }
}

/** Also what this server would not write now, such as invites that are there: it would use them. */
function keptUnderTheName(server: ChatmailServer, { stores }: Pick<World, "stores">) {
  const { namespace, name } = server.metadata;
  return [
    stores.volumeClaims.get(namespace, childNames(name).volumeClaim),
    ...identityNames.map((each) => stores.secrets.get(namespace, secretNameOf(server, each))),
  ];
}

/** Before anything is written: mailboxes and keys of another domain are kept under the name of this server. */
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
  server: ChatmailServer & KubeObject,
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
