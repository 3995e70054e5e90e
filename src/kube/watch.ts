/** Keeps a store like the cluster: list once, then watch, for as long as the signal lets it. No failure ends it. */
import { type BackOffLimits, backOffMs } from "../lib/back-off.ts";
import { DeadlineError } from "../lib/deadline.ts";
import { wait } from "../lib/wait.ts";
import { ApiError, type Client, isApiError, type Page, type Selection } from "./client.ts";
import type { Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import type { KubeObject, Resource } from "./object.ts";
import { isOlder } from "./resource-version.ts";
import type { Store } from "./store.ts";

export interface WatchPatience {
  backOff: BackOffLimits;
  /** The server is asked to end each watch after this to twice this, so that many watches do not come back at once. */
  leastSeconds: number;
  /** Nothing heard for so long: the connection is dead, make another. */
  idleMs: number;
  /** The same once this server has sent a bookmark: they come each minute, a quarter of it sooner or later. */
  idleWithBookmarksMs?: number;
  pageSize: number;
}

export const watchPatience: WatchPatience = {
  // Short at most, so that the end of an outage is noticed within seconds; a server that is busy says itself for how long.
  backOff: { firstMs: 500, mostMs: 5_000 },
  leastSeconds: 300,
  idleMs: 180_000,
  idleWithBookmarksMs: 100_000,
  pageSize: 500,
};

export async function keepFilled<T extends KubeObject>(options: {
  client: Client;
  resource: Resource;
  selection: Selection;
  store: Store<T>;
  signal: AbortSignal;
  log: Log;
  metrics?: Metrics;
  patience?: WatchPatience;
  random?: () => number;
}): Promise<void> {
  const {
    client,
    resource,
    selection,
    store,
    signal,
    metrics,
    patience = watchPatience,
    random = Math.random,
  } = options;
  const scope = selection.namespace ?? "";
  const report = reporter(options.log, { resource: resource.plural, ...(scope && { namespace: scope }) });
  const count = (what: string) => metrics?.counter(`reflector_${what}_total`).add({ resource: resource.plural });
  let resourceVersion: string | undefined;
  let failures = 0;
  let silences = 0;
  let sendsBookmarks = false;
  /** The pages of a list can expire before they are all read: then it is asked for as a whole. */
  let pages = true;

  const list = async (): Promise<string> => {
    count("lists");
    const items: T[] = [];
    let next: string | undefined;
    let limit = pages ? Math.min(firstPage, patience.pageSize) : 0;
    for (;;) {
      const asked = { ...selection, limit, next, silenceMs: patience.idleMs };
      const page = await client.listPage(resource, asked, signal).catch((error: unknown) => {
        if (isApiError(error, 410)) pages = false;
        throw error;
      });
      for (const item of store.prepared(page.items as T[])) items.push(item);
      next = page.next;
      limit = nextLimit(page, patience.pageSize);
      if (next !== undefined) continue;
      signal.throwIfAborted();
      store.replace(scope, items, page.resourceVersion);
      report.worksAgain();
      silences = 0;
      pages = true;
      return page.resourceVersion;
    }
  };

  const watch = async (since: string): Promise<void> => {
    count("watches");
    const timeoutSeconds = Math.round(patience.leastSeconds * (1 + random()));
    const idleMs = sendsBookmarks ? (patience.idleWithBookmarksMs ?? patience.idleMs) : patience.idleMs;
    const asked = { ...selection, resourceVersion: since, timeoutSeconds, idleMs };
    for await (const event of client.watch(resource, asked, signal)) {
      signal.throwIfAborted();
      if (event.type === "ERROR") {
        resourceVersion = undefined;
        throw streamError(event.object);
      }
      // Something was heard: this server lives, and the next failure is the first again.
      failures = 0;
      silences = 0;
      report.worksAgain();
      const version = event.object?.metadata?.resourceVersion;
      if (event.type === "DELETED") store.remove(event.object);
      else if (event.type === "BOOKMARK") {
        sendsBookmarks = true;
        if (isOlder(version, since)) {
          resourceVersion = undefined;
          throw new Error(`the server has gone back from version ${since} to ${version}`);
        }
        store.reached(scope, version);
      } else store.put(event.object as T);
      resourceVersion = version ?? resourceVersion;
    }
  };

  while (!signal.aborted) {
    const startedAt = performance.now();
    let watchingAt = Number.POSITIVE_INFINITY;
    try {
      resourceVersion ??= await list();
      watchingAt = performance.now();
      await watch(resourceVersion);
      // Ended as asked. A server that ends watches at once is not asked again at once.
      if (performance.now() - startedAt < 1_000) await wait(backOffMs(failures++, patience.backOff, random), signal);
    } catch (err) {
      if (signal.aborted) return;
      // A watch that has lasted is no failure in a row, though nothing was said in it.
      if (performance.now() - watchingAt > patience.backOff.mostMs) failures = 0;
      // Timers may be early by a little.
      const silent = err instanceof DeadlineError && performance.now() - startedAt >= patience.idleMs - 10;
      if (silent && !sendsBookmarks && ++silences < silencesWithoutBookmarks) {
        // Some kinds have no bookmarks (events, and others that the server does not cache): nothing has to be wrong.
        options.log.debug({ resource: resource.plural }, "nothing heard, watching again");
        continue;
      }
      count("failures");
      if (err instanceof DeadlineError && sendsBookmarks) silences++;
      // A server that was put back from a backup and does not know our version yet stays silent for us: then a list is right.
      const tooSilent = silences >= (sendsBookmarks ? 2 : silencesWithoutBookmarks);
      if (needsNewList(err, failures) || tooSilent) resourceVersion = undefined;
      report.failed(err, { listed: watchingAt < Number.POSITIVE_INFINITY });
      const pauseMs = backOffMs(failures++, patience.backOff, random);
      await wait(Math.max(pauseMs, isApiError(err) ? (err.retryAfterMs ?? 0) : 0), signal);
    }
  }
}

/** The first page tells how large the objects are; the next ones have about this size. */
const firstPage = 50;
const pageBytes = 2 * 2 ** 20;

function nextLimit({ items, bytes }: Page, most: number): number {
  const each = Math.max(1, bytes / Math.max(1, items.length));
  return Math.min(most, Math.max(Math.min(firstPage, most), Math.floor(pageBytes / each)));
}

const silencesWithoutBookmarks = 10;

/** After so many failures in a row a list is right, whatever they were. */
const failuresUntilList = 5;

/** What we last saw is too old for the server, or it refuses the question. While it is only down or busy, all that was seen still holds. */
function needsNewList(err: unknown, failures: number): boolean {
  // Lists are what a server that is too busy can do least.
  if (isApiError(err, 429)) return false;
  const refused = err instanceof ApiError && err.status < 500;
  const tooNew = err instanceof ApiError && err.message.includes("Too large resource version");
  return refused || tooNew || failures >= failuresUntilList;
}

function streamError(said: { code?: number; reason?: string; message?: string }): ApiError {
  const { code = 500, reason = "Unknown", message = "the watch ended with an error" } = said ?? {};
  return new ApiError({ status: code, reason, message });
}

/** One line for the first failure and for each doubling of their number, and one when all is well again. */
function reporter(log: Log, about: object) {
  let failures = 0;
  return {
    failed(err: unknown, { listed }: { listed: boolean }): void {
      // Part of life: what the server still knew of the past has ended before we asked.
      if (listed && isApiError(err, 410)) {
        log.debug(about, "watch expired, listing again");
        return;
      }
      failures++;
      const told = Number.isInteger(Math.log2(failures));
      const fields = { ...about, failures, err };
      if (told) log.warn(fields, "watch failed, trying again");
      else log.debug(fields, "watch failed, trying again");
    },
    worksAgain(): void {
      if (failures > 2) log.info({ ...about, failures }, "watch works again");
      failures = 0;
    },
  };
}
