/**
 * What a watch does next and when, as a state machine without clock and network: `watch.ts` carries
 * the states out and says what happened.
 *
 * Listing → Watching when the list is read; Watching → Listing when what we last saw is of no use
 * any more; else the same once more.
 */
import { type BackOffLimits, backOffMs } from "../lib/back-off.ts";
import { ApiError, isApiError } from "./api-error.ts";
import { isOlder } from "./resource-version.ts";

/** What is remembered whatever the state. */
interface Memory {
  /**
   * Failures in a row, for the back-off. A watch that brought something, or that lasted, ends the
   * row.
   */
  readonly failures: number;
  /** Failures since a list or a watch last brought something, for the log. */
  readonly errors: number;
  /** Connections in a row on which nothing was heard for as long as is allowed. */
  readonly silences: number;
  /** This server sends bookmarks; not all do, for not all kinds. */
  readonly sendsBookmarks: boolean;
  /**
   * Lists in a row that the server refused to give: forbidden, or of a kind that it does not know.
   */
  readonly refusals: number;
}

/**
 * Nothing that is known can be watched from. `whole`: pages expired before they were all read, so
 * the next list has none.
 */
export interface Listing extends Memory {
  readonly is: "Listing";
  readonly whole: boolean;
}

/** All is known up to `version`. `since`: the version that this watch was asked from. */
export interface Watching extends Memory {
  readonly is: "Watching";
  readonly version: string;
  readonly since: string;
}

export type WatchState = Listing | Watching;

/** How a list or a watch ended that was not stopped. */
export type WatchEnd =
  /** The list was read. */
  | { is: "listed"; version: string }
  /** The server ended the watch, as it was asked to. */
  | { is: "ended"; lastedMs: number }
  /** `silent`: nothing was heard for as long as is allowed. */
  | { is: "failed"; error: unknown; lastedMs: number; silent: boolean };

/** What comes next, after `pauseMs`. */
export interface WatchStep {
  state: WatchState;
  pauseMs: number;
  report?: "worksAgain" | "failed" | "expired" | "silent" | "refused";
  /** The lists have been refused for so long that nobody is to wait for them. */
  leftOut?: true;
}

export interface WatchPauses {
  backOff: BackOffLimits;
  /** Between two lists when the server has refused several. */
  refusedMs: number;
}

export const newWatch: Listing = {
  is: "Listing",
  whole: false,
  failures: 0,
  errors: 0,
  silences: 0,
  sendsBookmarks: false,
  refusals: 0,
};

/** A Role that is about to be there, or a CRD, is there within seconds. */
const refusalsUntilLeftOut = 5;

/** A server that ends watches at once is not asked again at once. */
const soonMs = 1_000;

const silencesWithoutBookmarks = 10;
/**
 * A server that was put back from a backup and does not know our version yet stays silent for us.
 */
const silencesWithBookmarks = 2;

/** After so many failures in a row a list is right, whatever they were. */
const failuresUntilList = 5;

/** The server has gone back in time, as after it was put back from a backup. */
export class WentBack extends Error {
  constructor(since: string, version: string | undefined) {
    super(`the server has gone back from version ${since} to ${version}`);
  }
}

/** The server has ended the watch with an error event: it will not be watched from there again. */
export class StreamError extends ApiError {}

/**
 * Something was heard: this server lives, and the next failure is the first again. Throws WentBack
 * for a bookmark of the past.
 */
export function heard(state: Watching, version: string | undefined, { bookmark }: { bookmark: boolean }): Watching {
  if (bookmark && isOlder(version, state.since)) throw new WentBack(state.since, version);
  return {
    ...state,
    version: version ?? state.version,
    failures: 0,
    errors: 0,
    silences: 0,
    sendsBookmarks: state.sendsBookmarks || bookmark,
  };
}

export function nextStep(state: WatchState, end: WatchEnd, pauses: WatchPauses, random: () => number): WatchStep {
  const pauseMs = () => backOffMs(state.failures, pauses.backOff, random);
  switch (end.is) {
    case "listed": {
      const { failures, sendsBookmarks } = state;
      const memory = { failures, sendsBookmarks, errors: 0, silences: 0, refusals: 0 };
      const next = { ...memory, version: end.version, since: end.version };
      return { state: { is: "Watching", ...next }, pauseMs: 0, report: "worksAgain" };
    }
    case "ended": {
      const again = from(state);
      if (end.lastedMs >= soonMs) return { state: again, pauseMs: 0 };
      return { state: { ...again, failures: state.failures + 1 }, pauseMs: pauseMs() };
    }
    case "failed":
      return afterFailure(state, end, pauses, random);
  }
}

function afterFailure(
  before: WatchState,
  { error, lastedMs, silent }: WatchEnd & { is: "failed" },
  { backOff, refusedMs }: WatchPauses,
  random: () => number,
): WatchStep {
  // A watch that has lasted is no failure in a row, though nothing was said in it.
  const lasted = before.is === "Watching" && lastedMs > backOff.mostMs;
  const state = { ...before, ...(lasted && { failures: 0 }), silences: before.silences + (silent ? 1 : 0) };
  const mostSilences = state.sendsBookmarks ? silencesWithBookmarks : silencesWithoutBookmarks;
  const tooSilent = state.silences >= mostSilences;
  // Some kinds have no bookmarks (events, and others that the server does not cache): nothing has
  // to be wrong.
  if (silent && !state.sendsBookmarks && !tooSilent) return { state: from(state), pauseMs: 0, report: "silent" };

  const expired = before.is === "Watching" && isApiError(error, 410);
  const failures = state.failures + 1;
  const errors = expired ? state.errors : state.errors + 1;
  const pauseMs = Math.max(
    backOffMs(state.failures, backOff, random),
    isApiError(error) ? (error.retryAfterMs ?? 0) : 0,
  );
  const report = expired ? "expired" : "failed";
  const { silences, sendsBookmarks } = state;
  const memory = { failures, errors, silences, sendsBookmarks, refusals: 0 };
  if (before.is === "Listing") {
    const whole = before.whole || isApiError(error, 410);
    const refusals = isApiError(error, 403) || isApiError(error, 404) ? before.refusals + 1 : 0;
    const again = { is: "Listing", ...memory, whole, refusals } as const;
    if (refusals < refusalsUntilLeftOut) return { state: again, pauseMs, report };
    const first = refusals === refusalsUntilLeftOut;
    const laterMs = Math.round(refusedMs * (0.5 + random() / 2));
    return { state: again, pauseMs: laterMs, leftOut: true, ...(first && { report: "refused" }) };
  }
  const again = { ...memory, version: before.version, since: before.version };
  return needsNewList(error, state.failures) || tooSilent
    ? { state: { is: "Listing", ...memory, whole: false }, pauseMs, report }
    : { state: { is: "Watching", ...again }, pauseMs, report };
}

/** The same once more, from what is known now. */
function from(state: WatchState): WatchState {
  return state.is === "Watching" ? { ...state, since: state.version } : state;
}

/**
 * What we last saw is too old for the server, or it refuses the question. While it is only down or
 * busy, all that was seen still holds.
 */
function needsNewList(error: unknown, failures: number): boolean {
  if (error instanceof StreamError || error instanceof WentBack) return true;
  // Lists are what a server that is too busy can do least.
  if (isApiError(error, 429)) return false;
  const refused = error instanceof ApiError && error.status < 500;
  const tooNew = error instanceof ApiError && error.message.includes("Too large resource version");
  return refused || tooNew || failures >= failuresUntilList;
}
