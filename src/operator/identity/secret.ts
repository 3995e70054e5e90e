/** The one place that reads what is in a Secret, and the one that writes it. Pure. */
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import { chatmailServer, childNames, labels } from "../../api/names.ts";
import type { Secret } from "../../kube/kinds.ts";
import type { KubeObject } from "../../kube/object.ts";
import { keptMeta } from "../server/resources/child.ts";
import { type IdentityName, identities, type Texts } from "./table.ts";

export function textsIn(secret: Pick<Secret, "data">): Texts {
  const decoded = Object.entries(secret.data ?? {}).map(([key, value]) => [
    key,
    Buffer.from(value, "base64").toString("utf8"),
  ]);
  return Object.fromEntries(decoded);
}

export function dataOf(texts: Texts): Record<string, string> {
  return Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, Buffer.from(text).toString("base64")]));
}

export function secretNameOf(server: ChatmailServer, name: IdentityName): string {
  return childNames(server.metadata.name)[identities[name].secret];
}

/** A new one, which the server leaves behind with Retain. */
export function identitySecret(server: ChatmailServer, name: IdentityName, texts: Texts): Secret {
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: keptMeta(server, secretNameOf(server, name)),
    type: identities[name].type,
    data: dataOf(texts),
  };
}

/**
 * What has to change in the metadata of a Secret so that it has our labels, the domain and, unless
 * it outlives the server, its owner: a JSON merge patch. Undefined where nothing has to. What
 * others wrote there stays.
 */
export function metadataPatch(server: ChatmailServer, secret: Secret): object | undefined {
  const { metadata } = secret;
  const wanted = keptMeta(server, metadata.name);
  const missing = (now: Record<string, string> = {}, want: Record<string, string> = {}) =>
    Object.fromEntries(Object.entries(want).filter(([key, value]) => now[key] !== value));
  const changed = {
    labels: missing(metadata.labels, wanted.labels),
    annotations: missing(metadata.annotations, wanted.annotations),
  };
  const owners = metadata.ownerReferences ?? [];
  const others = owners.filter(({ kind }) => kind !== chatmailServer.kind);
  const ownersWanted = [...others, ...(wanted.ownerReferences ?? [])];
  const uids = (of: readonly { uid: string }[]) =>
    of
      .map(({ uid }) => uid)
      .sort()
      .join();
  const patch = {
    ...(Object.keys(changed.labels).length > 0 && { labels: changed.labels }),
    ...(Object.keys(changed.annotations).length > 0 && { annotations: changed.annotations }),
    ...(uids(owners) !== uids(ownersWanted) && { ownerReferences: ownersWanted }),
  };
  return Object.keys(patch).length > 0 ? patch : undefined;
}

/**
 * Made by the operator for a server of this name: also for an earlier one that left its volume or
 * key behind.
 */
export function isMadeFor(server: Pick<ChatmailServer, "metadata">, live: KubeObject): boolean {
  const owner = live.metadata.ownerReferences?.find((reference) => reference.controller);
  if (owner && owner.uid !== server.metadata.uid && owner.kind !== chatmailServer.kind) return false;
  return live.metadata.labels?.[labels.server] === server.metadata.name;
}

/** It goes with an earlier server of the name: the garbage collector is about to delete it. */
export const isOfEarlier = (server: Pick<ChatmailServer, "metadata">, { metadata }: KubeObject): boolean =>
  (metadata.ownerReferences ?? []).some(({ kind, uid }) => kind === chatmailServer.kind && uid !== server.metadata.uid);

export const notMadeFor = ({ kind, metadata }: KubeObject) =>
  `${kind} ${metadata.name} exists but does not belong to this server: rename or delete it`;

/**
 * Carries our label: made for a server of ours, or to look so. Such a Secret is never a given
 * certificate or a given list of invites.
 */
export const isOurs = (secret: KubeObject) => secret.metadata?.labels?.[labels.server] !== undefined;
