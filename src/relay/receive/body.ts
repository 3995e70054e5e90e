/**
 * The body of a request, read piece by piece with a pace that it has to keep. What is not asked for
 * is not read from the connection.
 */
import type { IncomingMessage } from "node:http";

export interface Pace {
  /** Before the pace counts. */
  graceMs: number;
  bytesPerSecond: number;
}

/** `slow`: it comes slower than it has to; `stopped`: by `stop`. */
export type Piece = { kind: "bytes"; bytes: Buffer } | { kind: "end" } | { kind: "slow" } | { kind: "stopped" };

/**
 * Reading has to begin before the request flows; it throws where the connection ends before the
 * body does.
 */
export class Body {
  readonly #request: IncomingMessage;
  readonly #pace: Pace;
  readonly #ready: Buffer[] = [];
  #ended = false;
  #failure: Error | undefined;
  #stopped = false;
  #waiting: (() => void) | undefined;
  /** Time that was spent waiting for the other end; while Postfix is slow, it is not. */
  #waitedMs = 0;
  #received = 0;

  constructor(request: IncomingMessage, pace: Pace) {
    this.#request = request;
    this.#pace = pace;
    request.pause();
    request.on("data", this.#onData);
    request.on("end", this.#onEnd);
    request.on("error", this.#onFailure);
    request.on("close", this.#onClose);
  }

  /** The piece that is waited for, and all later ones, are `stopped`. */
  stop(): void {
    this.#stopped = true;
    this.#wake();
  }

  async next(): Promise<Piece> {
    if (this.#ready.length === 0 && !this.#isOver()) await this.#wait();
    if (this.#stopped) return { kind: "stopped" };
    const bytes = this.#ready.shift();
    if (bytes) return { kind: "bytes", bytes };
    if (this.#failure) throw this.#failure;
    return { kind: this.#ended ? "end" : "slow" };
  }

  /** What is left is for others to read. */
  release(): void {
    this.#request.off("data", this.#onData);
    this.#request.off("end", this.#onEnd);
    this.#request.off("close", this.#onClose);
  }

  #isOver(): boolean {
    return this.#ended || this.#stopped || this.#failure !== undefined;
  }

  async #wait(): Promise<void> {
    const { graceMs, bytesPerSecond } = this.#pace;
    const patienceMs = graceMs + (this.#received / bytesPerSecond) * 1000 - this.#waitedMs;
    const start = performance.now();
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => this.#wake(), Math.max(0, patienceMs));
      this.#waiting = () => {
        clearTimeout(timer);
        resolve();
      };
      this.#request.resume();
    });
    this.#waitedMs += performance.now() - start;
  }

  #wake(): void {
    this.#request.pause();
    this.#waiting?.();
    this.#waiting = undefined;
  }

  readonly #onData = (bytes: Buffer) => {
    this.#received += bytes.length;
    this.#ready.push(bytes);
    this.#wake();
  };

  readonly #onEnd = () => {
    this.#ended = true;
    this.#wake();
  };

  readonly #onFailure = (failure: Error) => {
    this.#failure ??= failure;
    this.#wake();
  };

  readonly #onClose = () => {
    if (!this.#ended) this.#onFailure(new Error("aborted"));
  };
}
