/**
 * How often somebody may do something: the generic cell rate algorithm. State is in memory and
 * forgotten once it means nothing.
 */

export interface Rate {
  perMinute: number;
  /** How many may come at once. */
  burst: number;
}

/** By key, the time in milliseconds at which its burst is full again. */
export type FullAt = readonly (readonly [key: string, fullAt: number])[];

export class RateLimiter {
  readonly #now: () => number;
  readonly #fullAt: Map<string, number>;
  #sweepAbove = 1024;

  /** `before`: what another one had left. */
  constructor(now: () => number, before: FullAt = []) {
    this.#now = now;
    this.#fullAt = new Map(before);
  }

  /**
   * Takes turns, one or so many. A date where there are not so many: when they will be there. More
   * than a burst count as one.
   */
  take(key: string, rate: Rate, turns = 1): Date | undefined {
    const next = this.next(key, rate, turns);
    if (next) return next;
    const now = this.#now();
    const fullAt = Math.max(now, this.#fullAt.get(key) ?? 0);
    this.#fullAt.set(key, fullAt + (Math.min(turns, rate.burst) * 60_000) / rate.perMinute);
    if (this.#fullAt.size > this.#sweepAbove) this.#sweep(now);
    return undefined;
  }

  /** As `take`, and takes none. */
  next(key: string, rate: Rate, turns = 1): Date | undefined {
    const now = this.#now();
    const periodMs = 60_000 / rate.perMinute;
    // later than that only by a clock that was set back, or another rate
    const latest = now + rate.burst * periodMs;
    const known = this.#fullAt.get(key) ?? 0;
    if (known > latest) this.#fullAt.set(key, latest);
    const next = Math.max(now, Math.min(known, latest)) - (rate.burst - Math.min(turns, rate.burst)) * periodMs;
    return next > now ? new Date(Math.ceil(next)) : undefined;
  }

  get size(): number {
    return this.#fullAt.size;
  }

  /** Those whose burst is not full yet. */
  left(): FullAt {
    this.#sweep(this.#now());
    return [...this.#fullAt];
  }

  #sweep(now: number): void {
    for (const [key, fullAt] of this.#fullAt) if (fullAt <= now) this.#fullAt.delete(key);
    this.#sweepAbove = Math.max(1024, 2 * this.#fullAt.size);
  }
}
