/**
 * Password hashing off the main thread. Worker threads start when there is work and end when there
 * has been none for a while: one costs some 10 MB, and an idle relay hashes nothing.
 */
import { Worker } from "node:worker_threads";
import type { HashJob, HashResult } from "./hash-worker.ts";

interface Waiting {
  job: HashJob;
  resolve: (result: HashResult) => void;
  reject: (error: Error) => void;
}

interface Hand {
  worker: Worker;
  doing: Waiting | undefined;
  rest: NodeJS.Timeout | undefined;
}

export interface HashPoolOptions {
  /** The worker's file: hash-worker.ts in development, relay-hash.js beside the bundle. */
  workerFile: URL;
  threads: number;
  /**
   * More than this many waiting are turned away: at 5 ms each they would wait longer than their
   * askers do.
   */
  maxWaiting?: number;
  restMs?: number;
}

export class HashPool {
  readonly #options: Required<HashPoolOptions>;
  readonly #waiting: Waiting[] = [];
  readonly #hands = new Set<Hand>();
  #closed = false;

  constructor(options: HashPoolOptions) {
    this.#options = { maxWaiting: 500, restMs: 30_000, ...options };
  }

  /** Threads that are alive. */
  get threads(): number {
    return this.#hands.size;
  }

  /** Rejects when too many wait, or the worker breaks. */
  run(job: HashJob): Promise<HashResult> {
    if (this.#closed) return Promise.reject(new Error("password hashing has ended"));
    if (this.#waiting.length >= this.#options.maxWaiting) {
      return Promise.reject(new Error("too many passwords to hash at once"));
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ job, resolve, reject });
      this.#distribute();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const each of this.#waiting.splice(0)) each.reject(new Error("password hashing has ended"));
    await Promise.all([...this.#hands].map((hand) => this.#dismiss(hand, new Error("password hashing has ended"))));
  }

  #distribute(): void {
    for (const hand of this.#hands) if (!hand.doing) this.#give(hand);
    if (this.#waiting.length > 0 && this.#hands.size < this.#options.threads) this.#give(this.#hire());
  }

  #give(hand: Hand): void {
    const next = this.#waiting.shift();
    clearTimeout(hand.rest);
    if (!next) {
      hand.rest = setTimeout(() => void this.#dismiss(hand), this.#options.restMs);
      hand.rest.unref();
      return;
    }
    hand.doing = next;
    hand.worker.ref();
    hand.worker.postMessage(next.job);
  }

  #hire(): Hand {
    const worker = new Worker(this.#options.workerFile, {
      resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2, stackSizeMb: 1 },
    });
    const hand: Hand = { worker, doing: undefined, rest: undefined };
    worker.on("message", (result: HashResult) => {
      const { doing } = hand;
      hand.doing = undefined;
      worker.unref();
      doing?.resolve(result);
      this.#give(hand);
    });
    worker.on("error", (error) => void this.#dismiss(hand, error instanceof Error ? error : new Error(String(error))));
    worker.on("exit", () => void this.#dismiss(hand, new Error("the hash worker ended")));
    this.#hands.add(hand);
    return hand;
  }

  async #dismiss(hand: Hand, error?: Error): Promise<void> {
    if (!this.#hands.delete(hand)) return;
    clearTimeout(hand.rest);
    if (error) hand.doing?.reject(error);
    await hand.worker.terminate();
    if (!this.#closed) this.#distribute();
  }
}
