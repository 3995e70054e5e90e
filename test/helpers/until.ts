/** Waiting in tests: for a condition, never for a time. */
import { setTimeout as sleep } from "node:timers/promises";

/**
 * How long each kind of thing may take before a test gives up, in milliseconds. One table for all
 * suites. Long: it is spent only where something is wrong, and a machine that does other work is
 * slow.
 */
export const patienceMs = {
  socket: 20_000,
  mail: 45_000,
  client: 60_000,
  pod: 180_000,
} as const;

/**
 * Polls until `condition` gives something that is neither undefined, null nor false, and returns
 * it. Throws an error that names `what`, and the last error of the condition, when the patience
 * ends.
 */
export async function until<T>(
  what: string,
  condition: () => T | undefined | null | false | Promise<T | undefined | null | false>,
  options: { patienceMs?: number; everyMs?: number } = {},
): Promise<T> {
  const patience = options.patienceMs ?? patienceMs.socket;
  const end = performance.now() + patience;
  let last: unknown;
  for (;;) {
    try {
      const found = await condition();
      if (found !== undefined && found !== null && found !== false) return found;
    } catch (thrown) {
      last = thrown;
    }
    if (performance.now() > end) throw new Error(`waited ${patience / 1000} s in vain for ${what}`, { cause: last });
    await sleep(options.everyMs ?? 20);
  }
}
