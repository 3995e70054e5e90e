/**
 * A queue with turns by network, within a network by client, and within a client by account. What
 * waits is bounded; when the total is reached, the newest work of the busiest network is refused.
 * Work of one client for one account keeps its order.
 */
import { RoundRobin } from "../lib/round-robin.ts";

export interface Share {
  /** What an attacker with many client addresses is likely to have as a whole. */
  network: string;
  client: string;
  account: string;
  /** Runs before all that is not urgent, and does not count for `mostOfAccount`. */
  urgent: boolean;
  /** How many of this network may wait, this one included. */
  mostOfNetwork: number;
}

export interface FairQueueOptions {
  /** How many run at the same time. */
  atOnce: number;
  /** How many wait for one account, of all clients. */
  mostOfAccount: number;
  /** How many wait for one account and one client. */
  mostOfPair: number;
  most: number;
}

/** There is no room for this work. */
export class QueueFull extends Error {
  override readonly name = "QueueFull";
}

interface Waiting {
  share: Share;
  start: () => void;
  refuse(error: Error): void;
}

export class FairQueue {
  readonly #options: FairQueueOptions;
  readonly #urgent = new RoundRobin<Waiting>();
  readonly #ordinary = new RoundRobin<Waiting>();
  readonly #counts = new Map<string, number>();
  #waiting = 0;
  #running = 0;

  constructor(options: FairQueueOptions) {
    this.#options = options;
  }

  get waiting(): number {
    return this.#waiting;
  }

  /**
   * Rejects with QueueFull at once, or later when the place is needed for a network with less work.
   */
  run<T>(share: Share, work: () => Promise<T>): Promise<T> {
    const full = this.#running < this.#options.atOnce ? undefined : this.#makeRoom(share);
    if (full !== undefined) return Promise.reject(new QueueFull(full));
    return new Promise<T>((resolve, reject) => {
      const start = () => {
        this.#running++;
        work()
          .then(resolve, reject)
          .finally(() => {
            this.#running--;
            this.#startNext();
          });
      };
      (share.urgent ? this.#urgent : this.#ordinary).add(pathOf(share), { share, start, refuse: reject });
      this.#count(share, 1);
      this.#startNext();
    });
  }

  /** Why there is no room; undefined when there is. */
  #makeRoom(share: Share): string | undefined {
    const { most, mostOfAccount, mostOfPair } = this.#options;
    const of = (key: string) => this.#counts.get(key) ?? 0;
    const keys = keysOf(share);
    if (of(keys.network) >= share.mostOfNetwork) return "too many of this network wait";
    if (of(keys.pair) >= mostOfPair) return "too many of this client for this account wait";
    if (!share.urgent && of(keys.account) >= mostOfAccount) return "too many for this account wait";
    if (this.#waiting < most) return undefined;
    return this.#refuseOneOfBusiest(keys.network) ? undefined : "too many wait";
  }

  /** False where no network has more work waiting than the one that needs the place. */
  #refuseOneOfBusiest(network: string): boolean {
    const own = this.#counts.get(network) ?? 0;
    const [busiest, count] = this.#ordinary
      .names()
      .map((name) => [name, this.#counts.get(networkKey(name)) ?? 0] as const)
      .reduce((one, other) => (other[1] > one[1] ? other : one), ["", 0] as const);
    if (count <= own + 1) return false;
    const last = this.#ordinary.removeLast(busiest);
    if (!last) return false;
    this.#count(last.share, -1);
    last.refuse(new QueueFull("too many wait"));
    return true;
  }

  #startNext(): void {
    while (this.#running < this.#options.atOnce) {
      const next = this.#urgent.take() ?? this.#ordinary.take();
      if (!next) return;
      this.#count(next.share, -1);
      next.start();
    }
  }

  #count(share: Share, by: number): void {
    this.#waiting += by;
    const { account, ...others } = keysOf(share);
    for (const key of [...Object.values(others), ...(share.urgent ? [] : [account])]) {
      const count = (this.#counts.get(key) ?? 0) + by;
      if (count > 0) this.#counts.set(key, count);
      else this.#counts.delete(key);
    }
  }
}

const pathOf = ({ network, client, account }: Share) => [network, client, account];

const networkKey = (network: string) => `network ${network}`;

const keysOf = ({ network, client, account }: Share) => ({
  network: networkKey(network),
  account: `account ${account}`,
  pair: `pair ${client} ${account}`,
});
