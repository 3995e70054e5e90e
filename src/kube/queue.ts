/**
 * Keys that need work. A key is never worked on twice at once; one that is added meanwhile is
 * worked on again afterwards. What a person changed goes before what the cluster changed, and that
 * before a sweep over everything; namespaces take turns.
 */
import { type BackOffLimits, backOffMs } from "../lib/back-off.ts";
import type { QueueMetrics } from "./metrics.ts";

/** In the order in which they are taken. */
export const priorities = ["edit", "change", "sweep"] as const;
export type Priority = (typeof priorities)[number];

/** Each so many takes begin at the other end, so that edits without pause starve nothing. */
const takesUntilTurn = 8;

interface Waiting {
  priority: Priority;
  since: number;
}

export class WorkQueue {
  /** What waits, and in each lane by namespace, in the order of coming. */
  readonly #waiting = new Map<string, Waiting>();
  readonly #lanes: Record<Priority, Map<string, Set<string>>> = {
    edit: new Map(),
    change: new Map(),
    sweep: new Map(),
  };
  readonly #working = new Map<string, number>();
  readonly #again = new Map<string, Priority>();
  readonly #later = new Map<string, { timer: NodeJS.Timeout; at: number }>();
  readonly #failures = new Map<string, number>();
  readonly #sleepers: (() => void)[] = [];
  readonly #limits: BackOffLimits;
  readonly #random: () => number;
  readonly #metrics: QueueMetrics | undefined;
  #takes = 0;
  #closed = false;

  constructor(options: { backOff?: BackOffLimits; random?: () => number; metrics?: QueueMetrics | undefined } = {}) {
    this.#limits = options.backOff ?? { firstMs: 500, mostMs: 300_000 };
    this.#random = options.random ?? Math.random;
    this.#metrics = options.metrics;
  }

  get depth(): number {
    return this.#waiting.size;
  }

  depthOf(priority: Priority): number {
    let depth = 0;
    for (const keys of this.#lanes[priority].values()) depth += keys.size;
    return depth;
  }

  /** Keys that are worked on now, with when that began (performance.now()). */
  get working(): ReadonlyMap<string, number> {
    return this.#working;
  }

  add(key: string, priority: Priority = "change"): void {
    if (this.#closed) return;
    this.#forgetLater(key);
    this.#metrics?.added();
    if (this.#working.has(key)) {
      this.#again.set(key, sooner(priority, this.#again.get(key)));
      return;
    }
    const waits = this.#waiting.get(key);
    if (waits && sooner(priority, waits.priority) === waits.priority) return;
    if (waits) this.#leave(key, waits.priority);
    this.#waiting.set(key, { priority, since: waits?.since ?? performance.now() });
    const lane = this.#lanes[priority];
    const namespace = namespaceOf(key);
    const keys = lane.get(namespace);
    if (keys) keys.add(key);
    else lane.set(namespace, new Set([key]));
    this.#sleepers.shift()?.();
  }

  /**
   * In so many milliseconds at the latest; an earlier time that is already set stays. Throws
   * RangeError where `ms` is no number.
   */
  addAfter(key: string, ms: number, priority: Priority = "change"): void {
    // A timer would take it for now, and a date that is none would make a key run without end.
    if (Number.isNaN(ms)) throw new RangeError(`${key}: no time to look again`);
    if (this.#closed || this.#waiting.has(key)) return;
    const at = performance.now() + ms;
    const set = this.#later.get(key);
    if (set && set.at <= at) return;
    this.#forgetLater(key);
    const longestTimerMs = 2 ** 31 - 1;
    const wake = () => {
      this.#later.delete(key);
      const leftMs = at - performance.now();
      if (ms > longestTimerMs && leftMs > 1_000) this.addAfter(key, leftMs, priority);
      else this.add(key, priority);
    };
    this.#later.set(key, { timer: setTimeout(wake, Math.min(ms, longestTimerMs)), at });
  }

  /** After a failure: later each time, until `succeeded`. */
  retry(key: string): void {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    this.#metrics?.retried();
    this.addAfter(key, backOffMs(failures, this.#limits, this.#random));
  }

  succeeded(key: string): void {
    this.#failures.delete(key);
  }

  /** The next key, now this caller's until `done`; undefined once the queue is closed. */
  async take(): Promise<string | undefined> {
    for (;;) {
      if (this.#closed) return undefined;
      const key = this.#next();
      if (key !== undefined) {
        const now = performance.now();
        this.#metrics?.taken((now - (this.#waiting.get(key)?.since ?? now)) / 1_000);
        this.#waiting.delete(key);
        this.#working.set(key, now);
        return key;
      }
      await new Promise<void>((resolve) => this.#sleepers.push(resolve));
    }
  }

  done(key: string): void {
    const since = this.#working.get(key);
    if (since !== undefined) this.#metrics?.worked((performance.now() - since) / 1_000);
    this.#working.delete(key);
    const priority = this.#again.get(key);
    if (!this.#again.delete(key) || priority === undefined) return;
    this.add(key, priority);
  }

  /** Wakes everyone who waits in `take`; work in hand goes on to its end. */
  close(): void {
    this.#closed = true;
    for (const key of [...this.#later.keys()]) this.#forgetLater(key);
    for (const wake of this.#sleepers.splice(0)) wake();
  }

  /** From the first lane that has something, the oldest key of the namespace whose turn it is. */
  #next(): string | undefined {
    const order = ++this.#takes % takesUntilTurn === 0 ? [...priorities].reverse() : priorities;
    for (const priority of order) {
      const lane = this.#lanes[priority];
      for (const [namespace, keys] of lane) {
        const [key] = keys;
        if (key === undefined) continue;
        keys.delete(key);
        lane.delete(namespace);
        if (keys.size > 0) lane.set(namespace, keys);
        return key;
      }
    }
    return undefined;
  }

  #leave(key: string, priority: Priority): void {
    const lane = this.#lanes[priority];
    const keys = lane.get(namespaceOf(key));
    keys?.delete(key);
    if (keys?.size === 0) lane.delete(namespaceOf(key));
  }

  #forgetLater(key: string): void {
    clearTimeout(this.#later.get(key)?.timer);
    this.#later.delete(key);
  }
}

function sooner(one: Priority, other: Priority | undefined): Priority {
  return other !== undefined && priorities.indexOf(other) <= priorities.indexOf(one) ? other : one;
}

function namespaceOf(key: string): string {
  return key.slice(0, Math.max(0, key.indexOf("/")));
}
