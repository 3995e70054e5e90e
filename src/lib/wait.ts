import { setMaxListeners } from "node:events";

/** Resolves after `ms`, or at once when the signal is aborted: callers look at the signal, so that waiting never throws. */
export function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    // As many as there are who wait: Node 20 warns of a leak otherwise.
    setMaxListeners(0, signal);
    signal.addEventListener("abort", done, { once: true });
  });
}
