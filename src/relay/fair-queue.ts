/**
 * Work in turns: each client gets one turn after the other, and within a client each account. What waits is bounded for each of them and in
 * total; the queue of the busiest client gives way when the total is reached. Waiting work is never reordered within one client and account.
 */

export interface Share {
  client: string;
  account: string;
  /** Runs before all that is not urgent, and is bound by the total alone. */
  urgent: boolean;
  /** How many of this client may wait, this one included. */
  mostOfClient: number;
}

export interface FairQueueOptions {
  /** How many run at the same time. */
  atOnce: number;
  /** How many wait for one account, whoever asks. */
  mostOfAccount: number;
  /** How many wait for one account and one client. */
  mostOfPair: number;
  most: number;
}

/** No turn is left. */
export class QueueFull extends Error {
  override readonly name = "QueueFull";
}

interface Waiting {
  share: Share;
  start(): void;
  refuse(error: Error): void;
}

export class FairQueue {
  readonly #options: FairQueueOptions;
  readonly #urgent: Waiting[] = [];
  /** By client, then by account. The first of each map has the next turn. */
  readonly #clients = new Map<string, Map<string, Waiting[]>>();
  readonly #ofClient = new Map<string, number>();
  readonly #ofAccount = new Map<string, number>();
  #waiting = 0;
  #running = 0;

  constructor(options: FairQueueOptions) {
    this.#options = options;
  }

  get waiting(): number {
    return this.#waiting + this.#urgent.length;
  }

  /** Rejects with QueueFull at once, or later when a newer client needs the place. */
  run<T>(share: Share, work: () => Promise<T>): Promise<T> {
    const full = this.#makeRoom(share);
    if (full !== undefined) return Promise.reject(new QueueFull(full));
    return new Promise<T>((resolve, reject) => {
      const start = () => {
        this.#running++;
        work()
          .then(resolve, reject)
          .finally(() => {
            this.#running--;
            this.#next();
          });
      };
      this.#add({ share, start, refuse: reject });
      this.#next();
    });
  }

  /** Why there is no room; undefined once there is. */
  #makeRoom(share: Share): string | undefined {
    const { most, mostOfAccount, mostOfPair } = this.#options;
    if (!share.urgent) {
      if ((this.#ofClient.get(share.client) ?? 0) >= share.mostOfClient) return "too many of this client wait";
      if ((this.#ofAccount.get(share.account) ?? 0) >= mostOfAccount) return "too many for this account wait";
      const pair = this.#clients.get(share.client)?.get(share.account)?.length ?? 0;
      if (pair >= mostOfPair) return "too many of this client for this account wait";
    }
    if (this.waiting < most) return undefined;
    const [busiest, count] = [...this.#ofClient].reduce((one, other) => (other[1] > one[1] ? other : one), ["", 0]);
    if (count < 2 || busiest === share.client) return "too many wait";
    this.#removeLast(busiest)?.refuse(new QueueFull("too many wait"));
    return undefined;
  }

  #add(waiting: Waiting): void {
    const { client, account, urgent } = waiting.share;
    if (urgent) {
      this.#urgent.push(waiting);
      return;
    }
    const accounts = this.#clients.get(client) ?? new Map<string, Waiting[]>();
    this.#clients.set(client, accounts);
    accounts.set(account, [...(accounts.get(account) ?? []), waiting]);
    this.#count(waiting.share, 1);
  }

  #next(): void {
    while (this.#running < this.#options.atOnce) {
      const next = this.#urgent.shift() ?? this.#take();
      if (!next) return;
      next.start();
    }
  }

  #take(): Waiting | undefined {
    for (const [client, accounts] of this.#clients) {
      for (const [account, waiting] of accounts) {
        const first = waiting.shift();
        accounts.delete(account);
        if (waiting.length > 0) accounts.set(account, waiting);
        this.#clients.delete(client);
        if (accounts.size > 0) this.#clients.set(client, accounts);
        if (first) this.#count(first.share, -1);
        return first;
      }
    }
    return undefined;
  }

  /** The newest of the account whose turn comes last. */
  #removeLast(client: string): Waiting | undefined {
    const accounts = this.#clients.get(client);
    const [account, waiting] = [...(accounts ?? [])].at(-1) ?? [];
    const last = waiting?.pop();
    if (!accounts || account === undefined || !last) return undefined;
    if (waiting?.length === 0) accounts.delete(account);
    if (accounts.size === 0) this.#clients.delete(client);
    this.#count(last.share, -1);
    return last;
  }

  #count({ client, account }: Share, by: number): void {
    this.#waiting += by;
    for (const [counts, key] of [
      [this.#ofClient, client],
      [this.#ofAccount, account],
    ] as const) {
      const count = (counts.get(key) ?? 0) + by;
      if (count > 0) counts.set(key, count);
      else counts.delete(key);
    }
  }
}
