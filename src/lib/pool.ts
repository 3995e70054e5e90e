/** Work that goes on beside other work, so much at once at most. */
export class Pool {
  readonly #most: number;
  readonly #running = new Set<Promise<void>>();
  #failed: { reason: unknown } | undefined;

  constructor(most: number) {
    this.#most = most;
  }

  /** Resolves when it has begun. Throws what any of it has failed with. */
  async start(work: () => Promise<void>): Promise<void> {
    while (this.#running.size >= this.#most) await Promise.race(this.#running);
    this.#check();
    const running = work()
      .catch((reason: unknown) => {
        this.#failed ??= { reason };
      })
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Resolves when all of it is done. Throws what any of it has failed with. */
  async idle(): Promise<void> {
    await this.ended();
    this.#check();
  }

  /** Resolves when none of it goes on, however it has ended. */
  async ended(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  #check(): void {
    if (this.#failed) throw this.#failed.reason;
  }
}
