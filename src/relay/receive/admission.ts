/**
 * Which requests run and which wait. Both are bounded, for all and for each client, and so are the
 * bytes that those who wait hold; clients take turns. A client that would take the room of others
 * is refused first.
 */
import { RoundRobin } from "../../lib/round-robin.ts";

export interface AdmissionLimits {
  running: number;
  runningEach: number;
  waiting: number;
  waitingEach: number;
  /** Sum over all that wait. */
  waitingBytes: number;
  /** Who has waited for so long gets no turn. */
  patienceMs: number;
}

export interface TurnRequest {
  /** Whom it counts for. */
  client: string;
  /** What it holds in memory while it waits. */
  bytes: number;
  /** It is not waiting any more. */
  signal: AbortSignal;
}

interface Waiting {
  client: string;
  bytes: number;
  settle(turn: (() => void) | undefined): void;
}

export class Admission {
  readonly #limits: AdmissionLimits;
  /** How many run, by client. */
  readonly #running = new Map<string, number>();
  /** Who waits, by client. */
  readonly #lines = new RoundRobin<Waiting>();
  #runningSum = 0;

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
  }

  get waiting(): number {
    return this.#lines.items().length;
  }

  get running(): number {
    return this.#runningSum;
  }

  /** A function that ends the turn; undefined where there is none to be had in time. */
  async take({ client, bytes, signal }: TurnRequest): Promise<(() => void) | undefined> {
    if (signal.aborted) return undefined;
    if (!this.#lines.has(client) && this.#mayRun(client)) return this.#begin(client);
    if (!this.#makeRoom(client, bytes)) return undefined;
    return new Promise((resolve) => {
      const entry: Waiting = {
        client,
        bytes,
        settle: (turn) => {
          clearTimeout(timer);
          signal.removeEventListener("abort", leave);
          resolve(turn);
        },
      };
      const leave = () => {
        this.#lines.remove([client], entry);
        entry.settle(undefined);
      };
      const timer = setTimeout(leave, this.#limits.patienceMs);
      signal.addEventListener("abort", leave);
      this.#lines.add([client], entry);
    });
  }

  #mayRun(client: string): boolean {
    const { running, runningEach } = this.#limits;
    return this.#runningSum < running && (this.#running.get(client) ?? 0) < runningEach;
  }

  #begin(client: string): () => void {
    this.#runningSum++;
    this.#running.set(client, (this.#running.get(client) ?? 0) + 1);
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      this.#runningSum--;
      const left = (this.#running.get(client) ?? 1) - 1;
      if (left > 0) this.#running.set(client, left);
      else this.#running.delete(client);
      this.#next();
    };
  }

  #next(): void {
    while (this.#runningSum < this.#limits.running) {
      const next = this.#lines.take(({ client }) => this.#mayRun(client));
      if (!next) return;
      next.settle(this.#begin(next.client));
    }
  }

  /**
   * Whether there is room for one more of this client, if need be in place of the newest of the
   * client that has the most.
   */
  #makeRoom(client: string, bytes: number): boolean {
    const { waiting, waitingEach, waitingBytes } = this.#limits;
    if (this.#lines.items(client).length >= waitingEach || bytes > waitingBytes) return false;
    const number = (line: readonly Waiting[]) => line.length;
    while (this.waiting + 1 > waiting) if (!this.#refuseNewest(client, 1, number)) return false;
    const held = (line: readonly Waiting[]) => sum(line.map((each) => each.bytes));
    while (held(this.#lines.items()) + bytes > waitingBytes) if (!this.#refuseNewest(client, bytes, held)) return false;
    return true;
  }

  /** Of the client that has the most; false where that would be the one that asks. */
  #refuseNewest(client: string, more: number, amount: (line: readonly Waiting[]) => number): boolean {
    let [most, greedy] = [amount(this.#lines.items(client)) + more, client];
    for (const each of this.#lines.names()) {
      const held = amount(this.#lines.items(each));
      if (each !== client && held > most) [most, greedy] = [held, each];
    }
    const newest = greedy === client ? undefined : this.#lines.removeLast(greedy);
    newest?.settle(undefined);
    return newest !== undefined;
  }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);
