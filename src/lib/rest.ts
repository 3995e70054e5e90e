/**
 * Gives memory back to the system once a process has little to do: V8 and malloc keep what a burst
 * has taken, for the next one (decision 0060).
 */
import type { EventLoopUtilization } from "node:perf_hooks";

export interface RestOptions {
  giveBack: () => void;
  /** Of the event loop, since it began. */
  utilization: () => EventLoopUtilization;
}

const everyMs = 15_000;
/** Share of the time below which it is at rest: a mail takes some two milliseconds. */
const little = 0.02;
/** At rest for so many looks in a row. */
const looks = 2;
/** Work that leaves less than it costs to tidy up, which takes some 50 ms. */
const worthMs = 1_000;

export class Rest {
  readonly #options: RestOptions;
  #last: EventLoopUtilization;
  /** Before it serves it has started, which is work, too. */
  #workedMs = worthMs;
  #restful = 0;

  constructor(options: RestOptions) {
    this.#options = options;
    this.#last = options.utilization();
  }

  /** For as long as the process lives. */
  start(): void {
    setInterval(() => this.look(), everyMs).unref();
  }

  look(): void {
    const now = this.#options.utilization();
    const activeMs = now.active - this.#last.active;
    const allMs = activeMs + now.idle - this.#last.idle;
    this.#last = now;
    this.#workedMs += activeMs;
    this.#restful = activeMs < little * allMs ? this.#restful + 1 : 0;
    if (this.#restful < looks || this.#workedMs < worthMs) return;
    this.#options.giveBack();
    this.#workedMs = 0;
  }
}
