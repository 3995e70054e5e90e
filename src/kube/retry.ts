/** Which calls to the API server are made again, and when. Pure: `transport.ts` makes them. */
import { isApiError } from "./api-error.ts";

/**
 * How one attempt ended: with the head of an answer, or on a kept-alive connection that the server
 * had closed, so that nothing was done.
 */
export type Attempted = { is: "answered"; status: number } | { is: "stale" };

/**
 * What follows at once. `give`: the answer, or the error, is the caller's. A refused token is read
 * again once. A call that creates is not made again, for a connection that ends early does not say
 * whether it was carried out.
 */
export function afterAttempt(
  attempted: Attempted,
  { method, tokenRenewed, aborted }: { method: string; tokenRenewed: boolean; aborted: boolean },
): "give" | "again" | "again with a new token" {
  if (attempted.is === "stale") return method === "POST" || aborted ? "give" : "again";
  return attempted.status === 401 && !tokenRenewed ? "again with a new token" : "give";
}

/** Tries of one call, the first one too. */
const mostTries = 10;

/**
 * How long to wait before a call is made again that the server refused for now, in milliseconds;
 * undefined where it is given up.
 */
export function pauseAfter(error: unknown, { tries, leftMs }: { tries: number; leftMs: number }): number | undefined {
  const askedMs = askedPauseMs(error);
  return askedMs === undefined || tries >= mostTries || askedMs > leftMs ? undefined : askedMs;
}

/**
 * For how long the server asked to be left alone; undefined when it did not. A 429 without a time
 * means a second.
 */
function askedPauseMs(error: unknown): number | undefined {
  if (!isApiError(error)) return undefined;
  if (error.status === 429) return error.retryAfterMs ?? 1_000;
  return error.status >= 500 ? error.retryAfterMs : undefined;
}
