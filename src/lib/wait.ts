import { whenAborted } from "./aborted.ts";

/**
 * Resolves after `ms`, or at once when the signal is aborted: callers look at the signal, so that
 * waiting never throws.
 */
export function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      forget();
      resolve();
    };
    const timer = setTimeout(done, ms);
    const forget = whenAborted(signal, done);
  });
}
