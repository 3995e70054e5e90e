/**
 * Computes password hashes beside the main thread: by libxcrypt where it is there, else, and for
 * what libxcrypt does not accept, in JavaScript on worker threads (decision 0054). Both give the
 * same text.
 */
import type { Crypt } from "./crypt-addon.ts";
import { HashPool, type HashPoolOptions } from "./hash-pool.ts";
import type { HashJob, HashResult } from "./hash-worker.ts";
import { isSameHash, settingOf } from "./sha512-crypt.ts";

export interface HashingOptions extends HashPoolOptions {
  crypt: Crypt | undefined;
}

export class Hashing {
  readonly #crypt: Crypt | undefined;
  readonly #pool: HashPool;

  constructor({ crypt, ...pool }: HashingOptions) {
    this.#crypt = crypt;
    this.#pool = new HashPool(pool);
  }

  /** Rejects when too many wait, or a worker breaks. */
  async run(job: HashJob): Promise<HashResult> {
    return (await this.#byLibrary(job)) ?? this.#pool.run(job);
  }

  close(): Promise<void> {
    return this.#pool.close();
  }

  async #byLibrary(job: HashJob): Promise<HashResult> {
    const setting = settingOf(job.kind === "hash" ? job.setting : job.stored);
    // a text of C would end at a NUL
    if (!this.#crypt || setting === undefined || job.password.includes("\0")) return undefined;
    const computed = await this.#crypt(Buffer.from(job.password), setting);
    if (computed === undefined || job.kind === "hash") return computed;
    return isSameHash(computed, job.stored);
  }
}
