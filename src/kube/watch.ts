/**
 * Keeps a store like the cluster: list once, then watch, for as long as the signal lets it. No
 * failure ends it.
 */
import type { BackOffLimits } from "../lib/back-off.ts";
import { DeadlineError } from "../lib/deadline.ts";
import type { Metrics } from "../lib/metrics.ts";
import { messageOf } from "../lib/text.ts";
import { wait } from "../lib/wait.ts";
import type { Client, Page, Selection } from "./client.ts";
import type { Log } from "./log.ts";
import type { KubeObject, Resource } from "./object.ts";
import type { Store } from "./store.ts";
import {
  heard,
  type Listing,
  newWatch,
  nextStep,
  StreamError,
  type WatchEnd,
  type Watching,
  type WatchState,
  type WatchStep,
} from "./watch-state.ts";

export interface WatchPatience {
  backOff: BackOffLimits;
  /**
   * The server is asked to end each watch after this to twice this, so that many watches do not
   * come back at once.
   */
  leastSeconds: number;
  /** Nothing heard for so long: the connection is dead, make another. */
  idleMs: number;
  /**
   * The same once this server has sent a bookmark: they come each minute, a quarter of it sooner or
   * later.
   */
  idleWithBookmarksMs?: number;
  pageSize: number;
  /**
   * Between two lists of what this operator may not list, or of a kind that the server does not
   * know.
   */
  refusedMs: number;
}

export const watchPatience: WatchPatience = {
  // Short at most, so that the end of an outage is noticed within seconds; a server that is busy
  // says itself for how long.
  backOff: { firstMs: 500, mostMs: 5_000 },
  leastSeconds: 300,
  idleMs: 180_000,
  idleWithBookmarksMs: 100_000,
  pageSize: 500,
  refusedMs: 60_000,
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
    log,
    metrics,
    patience = watchPatience,
    random = Math.random,
  } = options;
  const scope = selection.namespace ?? "";
  const about = { resource: resource.plural, ...(scope && { namespace: scope }) };
  const count = (what: string) => metrics?.counter(`reflector_${what}_total`).add({ resource: resource.plural });

  const list = async ({ whole }: Listing): Promise<string> => {
    count("lists");
    const items: T[] = [];
    let next: string | undefined;
    let limit = whole ? 0 : Math.min(firstPage, patience.pageSize);
    for (;;) {
      const asked = { ...selection, limit, next, silenceMs: patience.idleMs };
      const page = await client.listPage(resource, asked, signal);
      for (const item of store.prepared(page.items as T[])) items.push(item);
      next = page.next;
      limit = nextLimit(page, patience.pageSize);
      if (next !== undefined) continue;
      signal.throwIfAborted();
      store.replace(scope, items, page.resourceVersion);
      return page.resourceVersion;
    }
  };

  /** Resolves when the server ends the watch; `told` is called with the state after each event. */
  const watch = async (from: Watching, told: (state: Watching) => void): Promise<void> => {
    count("watches");
    const timeoutSeconds = Math.round(patience.leastSeconds * (1 + random()));
    const idleMs = from.sendsBookmarks ? (patience.idleWithBookmarksMs ?? patience.idleMs) : patience.idleMs;
    const asked = { ...selection, resourceVersion: from.since, timeoutSeconds, idleMs };
    let state = from;
    for await (const event of client.watch(resource, asked, signal)) {
      signal.throwIfAborted();
      if (event.type === "ERROR") throw streamError(event.object);
      if (state.errors > 0) reportWorksAgain(log, about, state);
      const version = event.object?.metadata?.resourceVersion;
      state = heard(state, version, { bookmark: event.type === "BOOKMARK" });
      if (event.type === "DELETED") store.remove(event.object);
      else if (event.type === "BOOKMARK") store.reached(scope, version);
      else store.put(event.object as T);
      told(state);
    }
  };

  let state: WatchState = newWatch;
  while (!signal.aborted) {
    const startedAt = performance.now();
    const lastedMs = () => performance.now() - startedAt;
    let end: WatchEnd;
    try {
      if (state.is === "Listing") end = { is: "listed", version: await list(state) };
      else {
        await watch(state, (now) => {
          state = now;
        });
        end = { is: "ended", lastedMs: lastedMs() };
      }
    } catch (error) {
      if (signal.aborted) return;
      // Timers may be early by a little.
      const silent = error instanceof DeadlineError && (state.sendsBookmarks || lastedMs() >= patience.idleMs - 10);
      end = { is: "failed", error, lastedMs: lastedMs(), silent };
    }
    const step = nextStep(state, end, patience, random);
    if (end.is === "failed" && step.report !== "silent") count("failures");
    report(log, about, step, end);
    if (step.leftOut && end.is === "failed") store.leaveOut(scope, messageOf(end.error));
    if (step.report === "worksAgain" && state.errors > 0) reportWorksAgain(log, about, state);
    state = step.state;
    if (step.pauseMs > 0) await wait(step.pauseMs, signal);
  }
}

/** The first page tells how large the objects are; the next ones have about this size. */
const firstPage = 50;
const pageBytes = 2 * 2 ** 20;

function nextLimit({ items, bytes }: Page, most: number): number {
  const each = Math.max(1, bytes / Math.max(1, items.length));
  return Math.min(most, Math.max(Math.min(firstPage, most), Math.floor(pageBytes / each)));
}

function streamError(said: { code?: number; reason?: string; message?: string }): StreamError {
  const { code = 500, reason = "Unknown", message = "the watch ended with an error" } = said ?? {};
  return new StreamError({ status: code, reason, message });
}

/** One line for the first failure and for each doubling of their number. */
function report(log: Log, about: object, { report: what, state: { errors } }: WatchStep, end: WatchEnd): void {
  if (what === "silent") log.debug(about, "nothing heard, watching again");
  // Part of life: what the server still knew of the past has ended before we asked.
  if (what === "expired") log.debug(about, "watch expired, listing again");
  if (what === "refused" && end.is === "failed")
    log.error(
      { ...about, failures: errors, err: end.error },
      "refused by the API server, left out until it is allowed",
    );
  if (what !== "failed" || end.is !== "failed") return;
  const fields = { ...about, failures: errors, err: end.error };
  if (Number.isInteger(Math.log2(errors))) log.warn(fields, "watch failed, retrying");
  else log.debug(fields, "watch failed, retrying");
}

/** One line when all is well again. */
function reportWorksAgain(log: Log, about: object, { errors: failures }: WatchState): void {
  if (failures > 2) log.info({ ...about, failures }, "watch works again");
}
