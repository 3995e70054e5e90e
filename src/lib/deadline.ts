import { whenAborted } from "./aborted.ts";

/**
 * A signal that follows another one and also ends when nothing happened for a time. Neither leaks a
 * listener nor a timer after `end`.
 */
export interface Deadline {
  signal: AbortSignal;
  /** Something happened: the time begins again, with another length if one is given. */
  restart(ms?: number): void;
  /**
   * Why the signal ended where it did, else the error itself: an abort hides its cause in what it
   * breaks.
   */
  reasonOr(error: unknown): unknown;
  end(): void;
}

export function deadline(outer: AbortSignal, ms: number, what: string): Deadline {
  const inner = new AbortController();
  let lengthMs = ms;
  const expire = () => inner.abort(new DeadlineError(`${what}: nothing heard for ${lengthMs / 1_000} s`));
  const unfollow = whenAborted(outer, () => inner.abort(outer.reason));
  let timer = setTimeout(expire, ms);
  return {
    signal: inner.signal,
    restart(next = lengthMs) {
      if (next === lengthMs) {
        timer.refresh();
        return;
      }
      clearTimeout(timer);
      lengthMs = next;
      timer = setTimeout(expire, next);
    },
    reasonOr: (error) => (inner.signal.aborted ? inner.signal.reason : error),
    end() {
      clearTimeout(timer);
      unfollow();
    },
  };
}

/** Nothing was heard for as long as we were ready to wait. */
export class DeadlineError extends Error {
  override readonly name = "DeadlineError";
}
