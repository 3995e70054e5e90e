/**
 * Objects that a spec names and others made. Only their names and versions are watched; what is in
 * one is read when it is needed, and not requested where it is missing.
 */
import type { Client } from "../../kube/client.ts";
import type { KubeObject, Resource } from "../../kube/object.ts";
import type { Store } from "../../kube/store.ts";

export async function readOthers<T extends KubeObject>(
  resource: Resource<T>,
  at: { namespace: string; name: string },
  from: { watched: Store<KubeObject>; client: Client; signal: AbortSignal },
): Promise<T | undefined> {
  return from.watched.get(at.namespace, at.name) && from.client.get(resource, at, from.signal);
}
