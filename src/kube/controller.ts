/** Workers that take keys from a queue and reconcile them until told to stop. */
import type { Log } from "./log.ts";
import type { WorkQueue } from "./queue.ts";

export interface Outcome {
  /** When to look again even if nothing is heard, in milliseconds from now. */
  againMs?: number | undefined;
  /** Not done, in a way that was expected and shown: try again with back-off. */
  retry?: boolean;
}

export type Reconcile = (key: string, signal: AbortSignal) => Promise<Outcome>;

/** Resolves when the signal is aborted and work in hand has ended. What `reconcile` throws is logged and tried again. */
export async function runWorkers(options: {
  queue: WorkQueue;
  reconcile: Reconcile;
  workers: number;
  signal: AbortSignal;
  log: Log;
}): Promise<void> {
  const { queue, reconcile, workers, signal, log } = options;
  const close = () => queue.close();
  if (signal.aborted) close();
  else signal.addEventListener("abort", close, { once: true });

  const work = async () => {
    for (let key = await queue.take(); key !== undefined; key = await queue.take()) {
      try {
        const { againMs, retry } = await reconcile(key, signal);
        if (retry) queue.retry(key);
        else queue.succeeded(key);
        if (againMs !== undefined) queue.addAfter(key, againMs);
      } catch (err) {
        if (!signal.aborted) log.error({ key, err }, "reconcile failed");
        queue.retry(key);
      } finally {
        queue.done(key);
      }
    }
  };
  await Promise.all(Array.from({ length: workers }, work));
}
