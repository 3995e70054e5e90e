/** Writes to the cluster: children and status, each only where something differs. */
import type { ChatmailServer, ChatmailServerStatus } from "../../api/chatmail-server.ts";
import { Failure } from "../../api/failure.ts";
import { annotations, apiVersion, chatmailServer, childNames, labels, labelValues } from "../../api/names.ts";
import { ApiError, isApiError } from "../../kube/client.ts";
import { withDigests } from "../../kube/fields.ts";
import { resources } from "../../kube/kinds.ts";
import { type KubeObject, keyOf } from "../../kube/object.ts";
import type { DesiredChild } from "./desired.ts";
import { chatmailServers, storeOf, type World } from "./world.ts";

/** How many children were sent. Throws Failure for the first that is refused. */
export async function applyChildren(
  server: ChatmailServer,
  children: readonly DesiredChild[],
  world: World,
  signal: AbortSignal,
): Promise<string[]> {
  const sent: string[] = [];
  // What is not in a store may still be there: somebody else's, under the name that we want.
  const found = await Promise.all(
    children.map(async ({ resource, object, absent }) => {
      const { namespace, name } = object.metadata;
      const at = { ...(namespace && { namespace }), name };
      const known = storeOf(world.stores, resource)?.at(keyOf(object));
      return known ?? (absent ? undefined : world.client.get(resource, at, signal));
    }),
  );
  refuseOtherDomain(server, [...found, ...keptUnderTheName(server, world)]);
  for (const [nth, { resource, object }] of children.entries()) {
    const { kind, metadata } = object;
    const { name } = metadata;
    const store = storeOf(world.stores, resource);
    // Pages and configuration of each server are 50 kB: the store has their digests.
    const form = resource === resources.configMap ? withDigests : undefined;
    try {
      const live = store?.at(keyOf(object)) ?? found[nth];
      if (live && !isOurs(server, live))
        throw new Failure(
          "ApplyConflict",
          "world",
          `${kind} ${name} exists and was not made for this server: rename or delete it`,
        );
      // All fields that we name are ours to set: a person who edits a child is undone, a field that we leave out is theirs.
      const result = await world.applier.apply(resource, object, { live, store, form, force: true, signal });
      if (!result.sent) continue;
      sent.push(`${kind} ${name}`);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const reason = isApiError(error, 409) ? "ApplyConflict" : "ApplyFailed";
      throw new Failure(reason, "world", `${kind} ${name}: ${error.message}`, { cause: error });
    }
  }
  return sent;
}

/** Also what this server would not write now, such as invites that are there: it would use them. */
function keptUnderTheName({ metadata: { namespace, name } }: ChatmailServer, { stores }: Pick<World, "stores">) {
  const names = childNames(name);
  const secrets = [names.tlsSecret, names.dkimSecret, names.invitesSecret, names.turnSecret];
  return [
    stores.volumeClaims.get(namespace, names.volumeClaim),
    ...secrets.map((secret) => stores.secrets.get(namespace, secret)),
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
    "world",
    `mailboxes or keys of ${domainOf(first)} were kept under the name ${metadata.name}: give this server another name, or delete them for good: kubectl -n ${metadata.namespace} delete ${named}`,
  );
}

/** Made by us for a server of this name: also by an earlier one that left its volume or key behind. */
function isOurs(server: ChatmailServer, live: KubeObject): boolean {
  const own = live.metadata.labels ?? {};
  const owner = live.metadata.ownerReferences?.find((reference) => reference.controller);
  if (owner && owner.uid !== server.metadata.uid && owner.kind !== chatmailServer.kind) return false;
  return own[labels.managedBy] === labelValues.managedBy && own[labels.instance] === server.metadata.name;
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
