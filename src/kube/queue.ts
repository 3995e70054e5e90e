/** Keys that need work. A key is never worked on twice at once; one that is added meanwhile is worked on again afterwards. */
import { type BackOffLimits, backOffMs } from "../lib/back-off.ts";

export class WorkQueue {
  readonly #waiting = new Set<string>();
  readonly #working = new Set<string>();
  readonly #again = new Set<string>();
  readonly #later = new Map<string, { timer: NodeJS.Timeout; at: number }>();
  readonly #failures = new Map<string, number>();
  readonly #sleepers: (() => void)[] = [];
  readonly #limits: BackOffLimits;
  readonly #random: () => number;
  #closed = false;

  constructor(options: { backOff?: BackOffLimits; random?: () => number } = {}) {
    this.#limits = options.backOff ?? { firstMs: 500, mostMs: 300_000 };
    this.#random = options.random ?? Math.random;
  }

  get depth(): number {
    return this.#waiting.size;
  }

  add(key: string): void {
    if (this.#closed) return;
    this.#forgetLater(key);
    if (this.#working.has(key)) {
      this.#again.add(key);
      return;
    }
    this.#waiting.add(key);
    this.#sleepers.shift()?.();
  }

  /** At this time at the latest; an earlier time that is already set stays. */
  addAfter(key: string, ms: number): void {
    if (this.#closed || this.#waiting.has(key)) return;
    const at = performance.now() + ms;
    const set = this.#later.get(key);
    if (set && set.at <= at) return;
    this.#forgetLater(key);
    const longestTimerMs = 2 ** 31 - 1;
    const timer = setTimeout(() => this.add(key), Math.min(ms, longestTimerMs));
    this.#later.set(key, { timer, at });
  }

  /** After a failure: later each time, until `succeeded`. */
  retry(key: string): void {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    this.addAfter(key, backOffMs(failures, this.#limits, this.#random));
  }

  succeeded(key: string): void {
    this.#failures.delete(key);
  }

  /** The next key, now this caller's until `done`; undefined once the queue is closed. */
  async take(): Promise<string | undefined> {
    for (;;) {
      if (this.#closed) return undefined;
      const [key] = this.#waiting;
      if (key !== undefined) {
        this.#waiting.delete(key);
        this.#working.add(key);
        return key;
      }
      await new Promise<void>((resolve) => this.#sleepers.push(resolve));
    }
  }

  done(key: string): void {
    this.#working.delete(key);
    if (this.#again.delete(key)) this.add(key);
  }

  /** Wakes everyone who waits in `take`; work in hand goes on to its end. */
  close(): void {
    this.#closed = true;
    for (const key of [...this.#later.keys()]) this.#forgetLater(key);
    for (const wake of this.#sleepers.splice(0)) wake();
  }

  #forgetLater(key: string): void {
    clearTimeout(this.#later.get(key)?.timer);
    this.#later.delete(key);
  }
}
