/** Each transition of a watch, without clock and network. */
import { expect, test } from "vitest";
import { ApiError } from "../../../src/kube/api-error.ts";
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
  WentBack,
} from "../../../src/kube/watch-state.ts";
import { DeadlineError } from "../../../src/lib/deadline.ts";

const backOff = { firstMs: 500, mostMs: 5_000 };
const next = (state: WatchState, end: WatchEnd) => nextStep(state, end, { backOff, refusedMs: 60_000 }, () => 1);
const listing = (more: Partial<Listing> = {}): Listing => ({ ...newWatch, ...more });
const { whole: _, ...memory } = newWatch;
const watching = (more: Partial<Watching> = {}): Watching => ({
  ...memory,
  is: "Watching",
  version: "20",
  since: "7",
  ...more,
});
const failed = (error: unknown, more: Partial<WatchEnd & { is: "failed" }> = {}): WatchEnd => ({
  is: "failed",
  error,
  lastedMs: 10,
  silent: false,
  ...more,
});
const api = (status: number, message = "no", retryAfterMs?: number) =>
  new ApiError({ status, reason: "Any", message, ...(retryAfterMs !== undefined && { retryAfterMs }) });
const reset = new Error("read ECONNRESET");
const silence = failed(new DeadlineError("nothing heard"), { silent: true, lastedMs: 180_000 });

test.each<{
  when: string;
  state: WatchState;
  end: WatchEnd;
  becomes: Partial<WatchState>;
  report?: WatchStep["report"];
}>([
  {
    when: "the list is read",
    state: listing({ whole: true, errors: 3, failures: 3, silences: 2 }),
    end: { is: "listed", version: "9" },
    becomes: { is: "Watching", version: "9", since: "9", errors: 0, failures: 3, silences: 0 },
    report: "worksAgain",
  },
  {
    when: "the server ends the watch as asked",
    state: watching(),
    end: { is: "ended", lastedMs: 300_000 },
    becomes: { is: "Watching", version: "20", since: "20", failures: 0 },
  },
  {
    when: "the server ends the watch at once",
    state: watching(),
    end: { is: "ended", lastedMs: 5 },
    becomes: { is: "Watching", since: "20", failures: 1, errors: 0 },
  },
  {
    when: "a watch is reset",
    state: watching(),
    end: failed(reset),
    becomes: { is: "Watching", since: "20", failures: 1, errors: 1 },
    report: "failed",
  },
  {
    when: "a watch that lasted is reset",
    state: watching({ failures: 4 }),
    end: failed(reset, { lastedMs: 6_000 }),
    becomes: { is: "Watching", failures: 1 },
    report: "failed",
  },
  {
    when: "it fails for the sixth time in a row",
    state: watching({ failures: 5 }),
    end: failed(reset),
    becomes: { is: "Listing", whole: false, failures: 6 },
    report: "failed",
  },
  {
    when: "what was seen is too old for the server",
    state: watching(),
    end: failed(api(410)),
    becomes: { is: "Listing", whole: false, errors: 0 },
    report: "expired",
  },
  {
    when: "the server says so in the stream",
    state: watching(),
    end: failed(new StreamError({ status: 410, reason: "Expired", message: "too old" })),
    becomes: { is: "Listing", errors: 0 },
    report: "expired",
  },
  {
    when: "the stream ends with another error event",
    state: watching(),
    end: failed(new StreamError({ status: 500, reason: "Internal", message: "etcd" })),
    becomes: { is: "Listing", errors: 1 },
    report: "failed",
  },
  {
    when: "the server refuses the watch",
    state: watching(),
    end: failed(api(403)),
    becomes: { is: "Listing" },
    report: "failed",
  },
  {
    when: "the server does not know our version yet",
    state: watching(),
    end: failed(api(504, "Timeout: Too large resource version: 20, current: 9")),
    becomes: { is: "Listing" },
    report: "failed",
  },
  {
    when: "the server is too busy, however often",
    state: watching({ failures: 50 }),
    end: failed(api(429)),
    becomes: { is: "Watching", failures: 51 },
    report: "failed",
  },
  {
    when: "the server is down",
    state: watching(),
    end: failed(api(503)),
    becomes: { is: "Watching" },
    report: "failed",
  },
  {
    when: "the server went back in time",
    state: watching(),
    end: failed(new WentBack("7", "3")),
    becomes: { is: "Listing" },
    report: "failed",
  },
  {
    when: "a list fails",
    state: listing(),
    end: failed(reset),
    becomes: { is: "Listing", whole: false, failures: 1, errors: 1 },
    report: "failed",
  },
  {
    when: "the pages of a list expire",
    state: listing(),
    end: failed(api(410)),
    becomes: { is: "Listing", whole: true, errors: 1 },
    report: "failed",
  },
  {
    when: "a list is forbidden",
    state: listing(),
    end: failed(api(403)),
    becomes: { is: "Listing", refusals: 1 },
    report: "failed",
  },
  {
    when: "a list is forbidden for the fifth time",
    state: listing({ refusals: 4, errors: 4 }),
    end: failed(api(403)),
    becomes: { is: "Listing", refusals: 5 },
    report: "refused",
  },
  {
    when: "a list stays forbidden",
    state: listing({ refusals: 5 }),
    end: failed(api(404)),
    becomes: { is: "Listing", refusals: 6 },
  },
  {
    when: "a list fails otherwise after it was forbidden",
    state: listing({ refusals: 4 }),
    end: failed(reset),
    becomes: { is: "Listing", refusals: 0 },
    report: "failed",
  },
  {
    when: "a list that was forbidden is read",
    state: listing({ refusals: 9, errors: 9 }),
    end: { is: "listed", version: "9" },
    becomes: { is: "Watching", refusals: 0 },
    report: "worksAgain",
  },
  {
    when: "a whole list fails otherwise",
    state: listing({ whole: true }),
    end: failed(reset),
    becomes: { is: "Listing", whole: true },
    report: "failed",
  },
  {
    when: "a kind without bookmarks is silent",
    state: watching({ silences: 8 }),
    end: silence,
    becomes: { is: "Watching", since: "20", silences: 9, failures: 0, errors: 0 },
    report: "silent",
  },
  {
    when: "it is silent for the tenth time",
    state: watching({ silences: 9 }),
    end: silence,
    becomes: { is: "Listing", silences: 10 },
    report: "failed",
  },
  {
    when: "a server that sends bookmarks is silent",
    state: watching({ sendsBookmarks: true }),
    end: silence,
    becomes: { is: "Watching", silences: 1, sendsBookmarks: true },
    report: "failed",
  },
  {
    when: "a server that sends bookmarks is silent twice",
    state: watching({ sendsBookmarks: true, silences: 1 }),
    end: silence,
    becomes: { is: "Listing", silences: 2, sendsBookmarks: true },
    report: "failed",
  },
])("when $when", ({ state, end, becomes, report }) => {
  const step = next(state, end);
  expect(step.state).toMatchObject(becomes);
  expect(step.report).toBe(report);
});

test.each([
  { when: "listed", end: { is: "listed", version: "9" } as const, state: listing({ failures: 9 }), pauseMs: 0 },
  { when: "silent", end: silence, state: watching(), pauseMs: 0 },
  { when: "ended after long", end: { is: "ended", lastedMs: 1_000 } as const, state: watching(), pauseMs: 0 },
])("there is no pause when it was $when", ({ end, state, pauseMs }) => {
  expect(next(state, end).pauseMs).toBe(pauseMs);
});

test("pauses grow with failures in a row, and are at least as long as the server asks for", () => {
  const pause = (failures: number, error: unknown = reset) => next(watching({ failures }), failed(error)).pauseMs;
  expect(pause(0)).toBeGreaterThan(0);
  expect(pause(3)).toBeGreaterThan(pause(0));
  expect(pause(40)).toBeLessThanOrEqual(backOff.mostMs * 1.5);
  expect(pause(0, api(429, "later", 60_000))).toBe(60_000);
});

test("who may not list is left out after five refusals, and asks each minute", () => {
  const step = (refusals: number) => next(listing({ refusals }), failed(api(403)));
  expect([step(3).leftOut, step(4).leftOut, step(50).leftOut]).toEqual([undefined, true, true]);
  expect([step(4).pauseMs, step(50).pauseMs]).toEqual([60_000, 60_000]);
});

test("what is heard ends a row of failures and moves on", () => {
  const before = watching({ failures: 3, errors: 3, silences: 1 });
  expect(heard(before, "21", { bookmark: false })).toEqual(watching({ version: "21" }));
  expect(heard(before, undefined, { bookmark: false }).version).toBe("20");
  expect(heard(before, "30", { bookmark: true })).toEqual(watching({ version: "30", sendsBookmarks: true }));
});

test("a bookmark of the past is refused", () => {
  expect(() => heard(watching(), "3", { bookmark: true })).toThrow("the server has gone back from version 7 to 3");
});
