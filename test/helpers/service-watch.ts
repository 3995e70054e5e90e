/** For how long a relay does not serve while something is done to it. */

import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "node:tls";
import type { Address } from "./line-socket.ts";
import { patienceMs, until } from "./until.ts";

const everyMs = 50;
const withinMs = 2_000;

/** Asks for the greeting of IMAP again and again. */
export class ServiceWatch {
  readonly #address: Address;
  readonly #ended = new AbortController();
  readonly #running: Promise<void>;
  /** Since the last `lap`, from the last greeting to the next one wherever one was missing. */
  #lostMs = 0;
  #servedAt = performance.now();
  #isLost = false;

  constructor(address: Address) {
    this.#address = address;
    this.#running = this.#run();
  }

  /**
   * Seconds without service since it was asked last. An interruption that lasts is waited for: its
   * rest would be counted for what comes next. kube-proxy may hear of a ready pod after who asks.
   * Throws when it does not end.
   */
  async lap(): Promise<number> {
    await until(`${this.#address.host} to serve`, () => !this.#isLost, { patienceMs: patienceMs.pod });
    const lost = this.#lostMs;
    this.#lostMs = 0;
    return Math.round(lost / 100) / 10;
  }

  async stop(): Promise<void> {
    this.#ended.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#ended.signal.aborted) {
      const startedAt = performance.now();
      if (await greets(this.#address)) {
        // a lap may have been asked for while it was on its way
        if (this.#isLost) this.#lostMs += Math.max(0, startedAt - this.#servedAt);
        this.#isLost = false;
        this.#servedAt = startedAt;
      } else this.#isLost = true;
      await sleep(everyMs);
    }
  }
}

function greets({ host, port }: Address): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, rejectUnauthorized: false });
    const end = (served: boolean) => {
      socket.destroy();
      resolve(served);
    };
    socket.setTimeout(withinMs, () => end(false));
    socket.on("error", () => end(false));
    socket.on("close", () => end(false));
    socket.on("data", (chunk: Buffer) => end(chunk.toString("latin1").startsWith("* OK")));
  });
}
