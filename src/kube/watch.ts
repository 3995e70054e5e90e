/** Keeps a store like the cluster: list once, then watch, for as long as the signal lets it. No failure ends it. */
import { type BackOffLimits, backOffMs } from "../lib/back-off.ts";
import { wait } from "../lib/wait.ts";
import { ApiError, type Client, isApiError, type Selection } from "./client.ts";
import type { Log } from "./log.ts";
import type { KubeObject, Resource } from "./object.ts";
import type { Store } from "./store.ts";

export interface WatchPatience {
  backOff: BackOffLimits;
  /** The server is asked to end each watch after this to twice this, so that many watches do not come back at once. */
  leastSeconds: number;
  /** Nothing heard for so long (API servers send a bookmark a minute): the connection is dead, make another. */
  idleMs: number;
  pageSize: number;
}

export const watchPatience: WatchPatience = {
  backOff: { firstMs: 500, mostMs: 30_000 },
  leastSeconds: 300,
  idleMs: 180_000,
  pageSize: 500,
};

export async function keepFilled<T extends KubeObject>(options: {
  client: Client;
  resource: Resource;
  selection: Selection;
  store: Store<T>;
  signal: AbortSignal;
  log: Log;
  patience?: WatchPatience;
  random?: () => number;
}): Promise<void> {
  const { client, resource, selection, store, signal, log, patience = watchPatience, random = Math.random } = options;
  let resourceVersion: string | undefined;
  let failures = 0;

  const list = async (): Promise<string> => {
    const items: KubeObject[] = [];
    let next: string | undefined;
    for (;;) {
      const page = await client.listPage(resource, { ...selection, limit: patience.pageSize, next }, signal);
      items.push(...page.items);
      next = page.next;
      if (next !== undefined) continue;
      signal.throwIfAborted();
      store.replace(selection.namespace ?? "", items as T[]);
      return page.resourceVersion;
    }
  };

  const watch = async (since: string): Promise<void> => {
    const timeoutSeconds = Math.round(patience.leastSeconds * (1 + random()));
    const { idleMs } = patience;
    for await (const event of client.watch(
      resource,
      { ...selection, resourceVersion: since, timeoutSeconds, idleMs },
      signal,
    )) {
      signal.throwIfAborted();
      if (event.type === "ERROR") {
        resourceVersion = undefined;
        throw streamError(event.object);
      }
      // Something was heard: this server lives, and the next failure is the first again.
      failures = 0;
      if (event.type === "DELETED") store.remove(event.object as T);
      else if (event.type !== "BOOKMARK") store.put(event.object as T);
      resourceVersion = event.object.metadata.resourceVersion ?? resourceVersion;
    }
  };

  while (!signal.aborted) {
    const startedAt = performance.now();
    try {
      resourceVersion ??= await list();
      await watch(resourceVersion);
      // Ended as asked. A server that ends watches at once is not asked again at once.
      if (performance.now() - startedAt < 1_000) await wait(backOffMs(failures++, patience.backOff, random), signal);
    } catch (err) {
      if (signal.aborted) return;
      if (needsNewList(err, failures)) resourceVersion = undefined;
      if (isApiError(err, 410)) log.debug({ resource: resource.plural }, "watch expired, listing again");
      else log.warn({ resource: resource.plural, err }, "watch failed, trying again");
      await wait(backOffMs(failures++, patience.backOff, random), signal);
    }
  }
}

/** A server that was put back from a backup may not know our version for ever: after so many failures a list is right anyway. */
const failuresUntilList = 5;

/** What we last saw is too old for the server, or it refuses the question. While it is only down or busy, all that was seen still holds. */
function needsNewList(err: unknown, failures: number): boolean {
  const refused = err instanceof ApiError && err.status < 500 && err.status !== 429;
  return refused || failures >= failuresUntilList;
}

function streamError(said: { code?: number; reason?: string; message?: string }): ApiError {
  const { code = 500, reason = "Unknown", message = "the watch ended with an error" } = said;
  return new ApiError({ status: code, reason, message });
}
