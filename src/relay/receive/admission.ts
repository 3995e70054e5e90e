/**
 * Who runs and who waits. Both are bounded, for all and for each client, and so are the bytes that those who wait hold; turns are given round
 * robin by client, in the order of arrival for one client. A client that would take the room of others is refused first.
 */

export interface TurnLimits {
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
  bytes: number;
  settle(turn: (() => void) | undefined): void;
}

export class Turns {
  readonly #limits: TurnLimits;
  /** How many run, by client. */
  readonly #running = new Map<string, number>();
  /** Who waits, by client; the client whose turn is next comes first. */
  readonly #lines = new Map<string, Waiting[]>();
  #runningSum = 0;

  constructor(limits: TurnLimits) {
    this.#limits = limits;
  }

  get waiting(): number {
    return sum([...this.#lines.values()].map((line) => line.length));
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
        bytes,
        settle: (turn) => {
          clearTimeout(timer);
          signal.removeEventListener("abort", leave);
          resolve(turn);
        },
      };
      const leave = () => {
        this.#remove(client, entry);
        entry.settle(undefined);
      };
      const timer = setTimeout(leave, this.#limits.patienceMs);
      signal.addEventListener("abort", leave);
      const line = this.#lines.get(client);
      if (line) line.push(entry);
      else this.#lines.set(client, [entry]);
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
    for (const [client, [first]] of this.#lines) {
      if (this.#runningSum >= this.#limits.running) return;
      if (!first || !this.#mayRun(client)) continue;
      const line = this.#remove(client, first);
      // behind all other clients; a loop over a map meets what is added to its end, so it may come again
      if (line.length > 0) {
        this.#lines.delete(client);
        this.#lines.set(client, line);
      }
      first.settle(this.#begin(client));
    }
  }

  /** Whether there is room for one more of this client, if need be in place of the newest of the client that has the most. */
  #makeRoom(client: string, bytes: number): boolean {
    const { waiting, waitingEach, waitingBytes } = this.#limits;
    if ((this.#lines.get(client)?.length ?? 0) >= waitingEach || bytes > waitingBytes) return false;
    const number = (line: readonly Waiting[]) => line.length;
    while (this.waiting + 1 > waiting) if (!this.#refuseNewest(client, 1, number)) return false;
    const held = (line: readonly Waiting[]) => sum(line.map((each) => each.bytes));
    const all = () => sum([...this.#lines.values()].map(held));
    while (all() + bytes > waitingBytes) if (!this.#refuseNewest(client, bytes, held)) return false;
    return true;
  }

  /** Of the client that has the most; false where that would be the one that asks. */
  #refuseNewest(client: string, more: number, amount: (line: readonly Waiting[]) => number): boolean {
    let [most, greedy] = [amount(this.#lines.get(client) ?? []) + more, client];
    for (const [each, line] of this.#lines) {
      if (each !== client && amount(line) > most) [most, greedy] = [amount(line), each];
    }
    const newest = this.#lines.get(greedy)?.at(-1);
    if (greedy === client || !newest) return false;
    this.#remove(greedy, newest);
    newest.settle(undefined);
    return true;
  }

  /** What is left of the client's line. */
  #remove(client: string, entry: Waiting): Waiting[] {
    const line = this.#lines.get(client) ?? [];
    const at = line.indexOf(entry);
    if (at >= 0) line.splice(at, 1);
    if (line.length === 0) this.#lines.delete(client);
    return line;
  }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);
