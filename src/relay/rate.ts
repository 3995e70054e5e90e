/** How often somebody may do something: the generic cell rate algorithm. State is in memory and forgotten once it means nothing. */

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

  /** Takes one turn. A date where there is none: when the next will be there. */
  take(key: string, rate: Rate): Date | undefined {
    const now = this.#now();
    const periodMs = 60_000 / rate.perMinute;
    // later than that only by a clock that was set back, or another rate
    const known = Math.min(this.#fullAt.get(key) ?? 0, now + rate.burst * periodMs);
    const fullAt = Math.max(now, known);
    const next = fullAt - (rate.burst - 1) * periodMs;
    this.#fullAt.set(key, next > now ? fullAt : fullAt + periodMs);
    if (next > now) return new Date(next);
    if (this.#fullAt.size > this.#sweepAbove) this.#sweep(now);
    return undefined;
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
