/**
 * RSA keys for servers to come, made while the operator has nothing else to do: one takes 70 ms of
 * a fast core and a second of a small one, and the pod of a new server waits for it. They are in
 * memory alone, are never written or logged before a server has its own, and each is given once
 * (decision 0054).
 */
import { performance } from "node:perf_hooks";
import { wait } from "../../lib/wait.ts";

/** So many are ready at most. */
const most = 2;
/** A key that nobody has needed for so long is forgotten, and another one made. */
const keepMs = 3_600_000;
/** Nobody has needed one for so long: else the one who needs the next would wait for this one. */
const idleMs = 5_000;
/** And the operator's own thread was at work for less than this part of the last `lookMs`. */
const idleShare = 0.1;
const lookMs = 5_000;

export interface ReadyState {
  /** Of the keys that are ready, oldest first. */
  agesMs: readonly number[];
  sinceNeedMs: number;
  /** Part of the time that the event loop was at work. */
  loopShare: number;
}

/** How many of the oldest are forgotten, and whether one is made. Pure. */
export function nextStep({ agesMs, sinceNeedMs, loopShare }: ReadyState): { forget: number; make: boolean } {
  const forget = agesMs.filter((age) => age >= keepMs).length;
  const isIdle = sinceNeedMs >= idleMs && loopShare < idleShare;
  return { forget, make: isIdle && agesMs.length - forget < most };
}

export interface ReadyKeysOptions {
  /** A private key in PEM. */
  make: () => Promise<string>;
  /** Milliseconds that never go back. */
  now?: () => number;
}

export class ReadyKeys {
  readonly #make: () => Promise<string>;
  readonly #now: () => number;
  readonly #ready: { pem: string; madeAt: number }[] = [];
  #neededAt: number;

  constructor({ make, now = () => performance.now() }: ReadyKeysOptions) {
    this.#make = make;
    this.#now = now;
    this.#neededAt = now();
  }

  /** One that nobody else gets. */
  take(): Promise<string> {
    this.#neededAt = this.#now();
    const ready = this.#ready.shift();
    return ready ? Promise.resolve(ready.pem) : this.#make();
  }

  /** Makes one at most. */
  async step(loopShare: number): Promise<void> {
    const now = this.#now();
    const agesMs = this.#ready.map(({ madeAt }) => now - madeAt);
    const { forget, make } = nextStep({ agesMs, sinceNeedMs: now - this.#neededAt, loopShare });
    this.#ready.splice(0, forget);
    if (!make) return;
    // who needs one makes it again, and reports what is wrong
    const pem = await this.#make().catch(() => undefined);
    if (pem !== undefined) this.#ready.push({ pem, madeAt: now });
  }

  /** Until the signal is aborted; then none is left. */
  async run(signal: AbortSignal): Promise<void> {
    let before = performance.eventLoopUtilization();
    for (;;) {
      await wait(lookMs, signal);
      if (signal.aborted) break;
      const now = performance.eventLoopUtilization();
      await this.step(performance.eventLoopUtilization(now, before).utilization);
      before = now;
    }
    this.#ready.length = 0;
  }
}
