/**
 * Sources → keys → queue → reconcile → outcome, until told to stop. What goes wrong with one key
 * harms no other.
 */
import { whenAborted } from "../lib/aborted.ts";
import type { BackOffLimits } from "../lib/back-off.ts";
import { deadline } from "../lib/deadline.ts";
import type { Metrics } from "../lib/metrics.ts";
import { messageOf } from "../lib/text.ts";
import { wait } from "../lib/wait.ts";
import { isPassing } from "./api-error.ts";
import { childLog, type Log } from "./log.ts";
import { queueMetrics } from "./metrics.ts";
import { priorities, WorkQueue } from "./queue.ts";
import type { Source } from "./source.ts";

export interface Outcome {
  /**
   * When to look again even if nothing is heard, in milliseconds from now; a time that is past
   * means soon. NaN counts as a bug.
   */
  againMs?: number | undefined;
  /** Not done, in a way that was expected and shown: try again with back-off. */
  retry?: boolean;
}

/** `log` says the key with each line, and more than usual when the key is traced. */
export interface Run {
  signal: AbortSignal;
  log: Log;
}

export type Reconcile = (key: string, run: Run) => Promise<Outcome>;

/** Work in hand may go on so long after stop; then it is left behind, by name. */
const stopWithinMs = 10_000;
/** A date that stays past must not make a key run without pause. */
const soonestMs = 100;
/** A reconcile that takes longer hangs: its signal ends it and the key is tried again. */
const runWithinMs = 120_000;
/**
 * Everything once more, should a listener ever have missed something; as rare as in
 * controller-runtime.
 */
const sweepEveryMs = 10 * 3_600_000;

/**
 * Waits for the sources to be filled, reconciles every object once, then what changes. Resolves
 * when the signal is aborted and work in hand has ended, or was given up.
 *
 * What `reconcile` throws is tried again with back-off: trouble of server and network with one line
 * of log, anything else, which is a bug, with its stack. What is expected to fail is an outcome:
 * `{}` waits for an edit, `{ retry: true }` does not.
 */
export async function runController(options: {
  name: string;
  sources: readonly Source[];
  reconcile: Reconcile;
  workers?: number;
  signal: AbortSignal;
  log: Log;
  metrics?: Metrics;
  backOff?: BackOffLimits;
  /** A log level for this key alone, such as one that an annotation asks for. */
  levelOf?: (key: string) => string | undefined;
  sweepEveryMs?: number;
  runWithinMs?: number;
  stopWithinMs?: number;
}): Promise<void> {
  const { name, sources, signal, log, metrics, backOff } = options;
  const queue = new WorkQueue({
    ...(backOff && { backOff }),
    ...(metrics && { metrics: queueMetrics(metrics, name) }),
  });
  const hide = metrics ? showQueue(metrics, name, queue) : [];
  await Promise.all(sources.map((source) => source.whenFilled(signal)));
  const ends = signal.aborted ? [] : sources.map((source) => source.start(queue, log));
  const sweep = async () => {
    const everyMs = options.sweepEveryMs ?? sweepEveryMs;
    while (!signal.aborted) {
      await wait(everyMs * (0.9 + Math.random() * 0.2), signal);
      if (!signal.aborted) for (const source of sources) source.sweep(queue);
    }
  };
  await Promise.all([sweep(), runWorkers({ workers: 4, ...options, queue })]);
  for (const end of [...ends, ...hide]) end();
}

/** Resolves when the signal is aborted and work in hand has ended. */
export async function runWorkers(options: {
  name?: string;
  queue: WorkQueue;
  reconcile: Reconcile;
  workers: number;
  signal: AbortSignal;
  log: Log;
  metrics?: Metrics;
  levelOf?: (key: string) => string | undefined;
  runWithinMs?: number;
  stopWithinMs?: number;
}): Promise<void> {
  const { queue, reconcile, workers, signal, log, metrics, levelOf } = options;
  const controller = options.name ?? "";
  const count = (result: string) => metrics?.counter("controller_runtime_reconcile_total").add({ controller, result });
  const forget = whenAborted(signal, () => queue.close());

  const logOf = (key: string) => {
    try {
      return childLog(log, { key }, levelOf?.(key));
    } catch (err) {
      log.warn({ key, err }, "log level of the key not set");
      return childLog(log, { key });
    }
  };
  const run = async (key: string) => {
    const within = deadline(signal, options.runWithinMs ?? runWithinMs, `reconcile of ${key}`);
    const startedAt = performance.now();
    const own = logOf(key);
    try {
      const { againMs, retry } = await reconcile(key, { signal: within.signal, log: own });
      if (retry) queue.retry(key);
      else queue.succeeded(key);
      if (againMs !== undefined) queue.addAfter(key, Math.max(againMs, soonestMs));
      count(retry ? "requeue" : againMs === undefined ? "success" : "requeue_after");
      own.debug({ againMs, retry, ms: Math.round(performance.now() - startedAt) }, "reconciled");
    } catch (thrown) {
      if (signal.aborted) return;
      const err = within.reasonOr(thrown);
      count("error");
      if (isPassing(err)) own.warn({ cause: messageOf(err) }, "not reconciled");
      else {
        metrics?.counter("controller_runtime_reconcile_errors_total").add({ controller });
        own.error({ err }, "reconcile failed");
      }
      queue.retry(key);
    } finally {
      within.end();
      metrics
        ?.histogram("controller_runtime_reconcile_time_seconds")
        .observe((performance.now() - startedAt) / 1_000, { controller });
    }
  };
  const work = async () => {
    for (let key = await queue.take(); key !== undefined; key = await queue.take()) {
      try {
        await run(key);
      } finally {
        queue.done(key);
      }
    }
  };
  const all = Promise.all(Array.from({ length: workers }, work));
  await Promise.race([all, giveUp(signal, all, options.stopWithinMs ?? stopWithinMs)]);
  forget();
  if (queue.working.size > 0) log.error({ keys: [...queue.working.keys()] }, "reconcile did not stop");
}

/** Resolves when work went on for too long after stop. */
function giveUp(signal: AbortSignal, work: Promise<unknown>, ms: number): Promise<void> {
  return new Promise((resolve) => {
    let timer: NodeJS.Timeout | undefined;
    const forget = whenAborted(signal, () => {
      timer = setTimeout(resolve, ms);
    });
    const ended = () => {
      clearTimeout(timer);
      forget();
    };
    work.then(ended, ended);
  });
}

/** Returns what ends it. */
function showQueue(metrics: Metrics, name: string, queue: WorkQueue): (() => void)[] {
  const labels = { name, controller: name };
  const ages = () => [...queue.working.values()].map((since) => (performance.now() - since) / 1_000);
  return [
    metrics.gauge("workqueue_depth", () =>
      priorities.map((priority) => ({ labels: { ...labels, priority }, value: queue.depthOf(priority) })),
    ),
    metrics.gauge("workqueue_longest_running_processor_seconds", () => [{ labels, value: Math.max(0, ...ages()) }]),
    metrics.gauge("controller_runtime_active_workers", () => [{ labels, value: queue.working.size }]),
  ];
}
