/** How often an address may send: the generic cell rate algorithm. State is in memory and forgotten once it means nothing. */

export interface Rate {
  perMinute: number;
  /** How many may come at once. */
  burst: number;
}

export class RateLimiter {
  readonly #now: () => number;
  /** The time, in milliseconds, at which each key's burst is full again. */
  readonly #fullAt = new Map<string, number>();
  #sweepAbove = 1024;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Takes one turn. A date where there is none: when the next will be there. */
  take(key: string, rate: Rate): Date | undefined {
    const now = this.#now();
    const periodMs = 60_000 / rate.perMinute;
    const fullAt = Math.max(now, this.#fullAt.get(key) ?? 0);
    const next = fullAt - (rate.burst - 1) * periodMs;
    if (next > now) return new Date(next);
    this.#fullAt.set(key, fullAt + periodMs);
    if (this.#fullAt.size > this.#sweepAbove) this.#sweep(now);
    return undefined;
  }

  get size(): number {
    return this.#fullAt.size;
  }

  #sweep(now: number): void {
    for (const [key, fullAt] of this.#fullAt) if (fullAt <= now) this.#fullAt.delete(key);
    this.#sweepAbove = Math.max(1024, 2 * this.#fullAt.size);
  }
}
