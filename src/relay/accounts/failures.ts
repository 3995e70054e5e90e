/**
 * Counts wrong passwords, and delays further attempts:
 * - of one client for one account, after ten;
 * - for one account from clients that never logged in to it, after twenty, so that many clients are
 *   no way round;
 * - from one network, after ten: it has three attempts for each account, so that neighbours behind
 *   one address (carrier-grade NAT) can log in, but only few of its attempts may wait at the same
 *   time.
 * Each further failure doubles the delay. In memory, bounded.
 */
import { BoundedMap } from "../../lib/bounded-map.ts";

interface Rule {
  /** Wrong passwords without a delay. */
  free: number;
  longestDelayMs: number;
}

const rules = {
  pair: { free: 10, longestDelayMs: 300_000 },
  account: { free: 20, longestDelayMs: 60_000 },
  network: { free: 10, longestDelayMs: 30_000 },
} as const satisfies Record<string, Rule>;

/** For one account, where its network is suspicious. */
const freeOfSuspicious = 3;
const firstDelayMs = 1_000;
/** Failures are forgotten after so long without another. */
const forgetAfterMs = 3_600_000;
const maxEntries = 10_000;

interface Entry {
  failures: number;
  /** Until this time, in milliseconds, no password is checked. */
  until: number;
  last: number;
}

export interface Origin {
  network: string;
  client: string;
  account: string;
  /** The client has logged in to the account before. */
  known: boolean;
}

export interface Standing {
  /** When the next password is checked, in milliseconds; undefined: now. */
  blockedUntil: number | undefined;
  /** The network has failed so often that only few of its attempts may wait. */
  suspicious: boolean;
}

export class LoginFailures {
  readonly #now: () => number;
  readonly #pairs = new BoundedMap<string, Entry>(maxEntries);
  readonly #accounts = new BoundedMap<string, Entry>(maxEntries);
  readonly #networks = new BoundedMap<string, Entry>(maxEntries);

  constructor(now: () => number) {
    this.#now = now;
  }

  get size(): number {
    return this.#pairs.size + this.#accounts.size + this.#networks.size;
  }

  standing({ network, client, account, known }: Origin): Standing {
    const pair = this.#find(this.#pairs, pairKey(client, account));
    const ofNetwork = this.#find(this.#networks, network);
    const suspicious = (ofNetwork?.failures ?? 0) >= rules.network.free;
    const untils = [
      pair?.until ?? 0,
      known ? 0 : (this.#find(this.#accounts, account)?.until ?? 0),
      suspicious && (pair?.failures ?? 0) >= freeOfSuspicious ? (ofNetwork?.until ?? 0) : 0,
    ];
    const until = Math.max(...untils);
    return { blockedUntil: until > this.#now() ? until : undefined, suspicious };
  }

  wrong({ network, client, account, known }: Origin): void {
    this.#add(this.#pairs, pairKey(client, account), rules.pair);
    if (!known) this.#add(this.#accounts, account, rules.account);
    this.#add(this.#networks, network, rules.network);
  }

  /**
   * Forgets the failures of this client for this account. Those of the network and of others for
   * the account stay.
   */
  right({ client, account }: Pick<Origin, "client" | "account">): void {
    this.#pairs.delete(pairKey(client, account));
  }

  #find(entries: Map<string, Entry>, key: string): Entry | undefined {
    const entry = entries.get(key);
    return entry && entry.last + forgetAfterMs > this.#now() ? entry : undefined;
  }

  #add(entries: Map<string, Entry>, key: string, { free, longestDelayMs }: Rule): void {
    const now = this.#now();
    const failures = (this.#find(entries, key)?.failures ?? 0) + 1;
    const delay = failures < free ? 0 : Math.min(longestDelayMs, firstDelayMs * 2 ** (failures - free));
    entries.set(key, { failures, until: now + delay, last: now });
  }
}

export const pairKey = (client: string, account: string) => `${client} ${account}`;
