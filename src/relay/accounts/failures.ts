/**
 * Who has tried wrong passwords. Ten of one client for one account are looked at, and then one after each of growing delays. A client that has
 * failed ten times in all keeps the first try for each account, so that neighbours behind its address can still log in. In memory, bounded.
 */

/** Wrong passwords that cost nothing. */
const free = 10;
const firstDelayMs = 1_000;
const longestDelayMs = 300_000;
/** Failures are forgotten after so long without another. */
const forgetAfterMs = 3_600_000;
const maxEntries = 10_000;

interface Entry {
  failures: number;
  /** Not before this time, in milliseconds, is another password looked at. */
  until: number;
  last: number;
}

export interface Standing {
  /** When the next password is looked at, in milliseconds; undefined for now. */
  blockedUntil: number | undefined;
  /** The client has failed so often that only few of its questions may wait. */
  suspicious: boolean;
}

export class LoginFailures {
  readonly #now: () => number;
  readonly #pairs = new Map<string, Entry>();
  readonly #clients = new Map<string, Entry>();

  constructor(now: () => number) {
    this.#now = now;
  }

  get size(): number {
    return this.#pairs.size + this.#clients.size;
  }

  standing(client: string, account: string): Standing {
    const pair = this.#known(this.#pairs, pairKey(client, account));
    const all = this.#known(this.#clients, client);
    const suspicious = (all?.failures ?? 0) >= free;
    const until = Math.max(pair?.until ?? 0, pair && suspicious ? (all?.until ?? 0) : 0);
    return { blockedUntil: until > this.#now() ? until : undefined, suspicious };
  }

  wrong(client: string, account: string): void {
    this.#add(this.#pairs, pairKey(client, account));
    this.#add(this.#clients, client);
  }

  /** A right password ends what is held against this client for this account, not against the client. */
  right(client: string, account: string): void {
    this.#pairs.delete(pairKey(client, account));
  }

  #known(entries: Map<string, Entry>, key: string): Entry | undefined {
    const entry = entries.get(key);
    return entry && entry.last + forgetAfterMs > this.#now() ? entry : undefined;
  }

  #add(entries: Map<string, Entry>, key: string): void {
    const now = this.#now();
    const failures = (this.#known(entries, key)?.failures ?? 0) + 1;
    const delay = failures < free ? 0 : Math.min(longestDelayMs, firstDelayMs * 2 ** (failures - free));
    entries.delete(key);
    entries.set(key, { failures, until: now + delay, last: now });
    const [oldest] = entries.keys();
    if (entries.size > maxEntries && oldest !== undefined) entries.delete(oldest);
  }
}

export const pairKey = (client: string, account: string) => `${client} ${account}`;
