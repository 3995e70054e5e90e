import { setMaxListeners } from "node:events";

/**
 * Calls `act` once: at once where the signal is aborted already, else when it is. Returns what
 * takes that back.
 */
export function whenAborted(signal: AbortSignal, act: () => void): () => void {
  if (signal.aborted) {
    act();
    return () => {};
  }
  // As many as there are calls and waits: Node 20 warns of a leak otherwise.
  setMaxListeners(0, signal);
  signal.addEventListener("abort", act, { once: true });
  return () => signal.removeEventListener("abort", act);
}
