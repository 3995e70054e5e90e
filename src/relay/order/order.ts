/**
 * Keeps the order of mail: what was accepted from one sender for one recipient is delivered in the order of its acceptance (decision 0029).
 * The milter reports each accepted mail; each delivery asks for its turn before it begins, and reports how it ended. Postfix keeps the mail:
 * a delivery whose turn has not come waits for a moment, or is deferred and retried as soon as the mail before it is delivered.
 */
import type { ListedMail } from "./postfix-queue.ts";

export interface AcceptedMail {
  /** Postfix's long queue ID. */
  id: string;
  sender: string;
  recipients: readonly string[];
}

export interface Delivery {
  id: string;
  sender: string;
  recipient: string;
}

/**
 * `done`: delivered, or refused for good. `refused`: the recipient's server answered 4xx. `unreached`: there was no answer.
 * `elsewhere`: Postfix delivers it by itself now, and the listing of its queue shows how that ends.
 */
export type Outcome = "done" | "refused" | "unreached" | "elsewhere";

export interface OrderOptions {
  /** All mail in Postfix's queue, with the recipients that are not done. */
  list(): Promise<readonly ListedMail[]>;
  /** Makes Postfix try a deferred mail again at once; no effect on mail that is not deferred. */
  retry(id: string): Promise<void>;
  onFailure(thrown: unknown): void;
  now?(): number;
}

interface Entry {
  readonly id: string;
  state: "queued" | "delivering" | "elsewhere" | "deferred";
  acceptedAt: number;
  /** Its turn had not come when it was tried the last time. */
  heldBack: boolean;
  /** When the recipient's server refused it for the first time. */
  refusedSince?: number;
  /** The last listing did not have it. One listing alone may miss a mail that moves between queues. */
  missing: boolean;
}

/** A delivery that waits occupies one of Postfix's processes. */
const patienceMs = { queued: 2000, delivering: 5000, elsewhere: 5000 } as const;
/** A mail that its recipient's server refuses again and again holds up later ones for so long. */
const standsAsideAfterMs = 3_600_000;
/** Entries beyond are not ordered. */
const mostEntries = 200_000;
const listEveryMs = 100;
const sweepEveryMs = 60_000;
const retryDelaysMs = [0, 50, 200, 1000, 1000, 2000, 5000, 5000, 5000];

export class DeliveryOrder {
  readonly #options: OrderOptions;
  readonly #now: () => number;
  /** By sender and recipient, entries in the order of acceptance. */
  readonly #pairs = new Map<string, Map<string, Entry>>();
  readonly #wakers = new Map<string, Set<() => void>>();
  readonly #retrying = new Map<string, NodeJS.Timeout>();
  readonly #sweep: NodeJS.Timeout;
  #entries = 0;
  #loading: Promise<void> | undefined;
  #listing: Promise<void> | undefined;
  #nextListingAt = 0;

  constructor(options: OrderOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#sweep = setInterval(() => this.#sweepOld(), sweepEveryMs).unref();
  }

  /** Entries that wait for their delivery. */
  get size(): number {
    return this.#entries;
  }

  /** To be called before the sender is told that the mail is accepted. */
  accepted({ id, sender, recipients }: AcceptedMail): void {
    if (sender === "" || id === "") return;
    for (const recipient of recipients) this.#add(pairOf({ sender, recipient }), id, "queued");
  }

  /** True: deliver now, and report the outcome. False: an earlier mail is not delivered yet; defer this one. */
  async turn(delivery: Delivery): Promise<boolean> {
    if (delivery.sender === "" || delivery.id === "") return true;
    this.#loading ??= this.#load();
    await this.#loading;
    const pair = pairOf(delivery);
    const entry = this.#pairs.get(pair)?.get(delivery.id);
    if (!entry) return true;
    this.#stopRetrying(delivery.id);
    const started = this.#now();
    for (;;) {
      const earlier = this.#earlier(pair, entry);
      if (!earlier) {
        entry.state = "delivering";
        entry.heldBack = false;
        return true;
      }
      const patience = earlier.state === "deferred" ? 0 : patienceMs[earlier.state];
      if (this.#now() - started >= patience) {
        entry.state = "deferred";
        entry.heldBack = true;
        if (earlier.state === "deferred") this.#retry(earlier.id);
        this.#wake(pair);
        return false;
      }
      await this.#changed(pair);
      if (earlier.state !== "delivering" && this.#earlier(pair, entry) === earlier) await this.#refresh();
    }
  }

  settled(delivery: Delivery, outcome: Outcome): void {
    const pair = pairOf(delivery);
    const entry = this.#pairs.get(pair)?.get(delivery.id);
    if (!entry) return;
    if (outcome === "done") this.#remove(pair, entry);
    else {
      entry.state = outcome === "elsewhere" ? "elsewhere" : "deferred";
      if (outcome === "refused") entry.refusedSince ??= this.#now();
      this.#wake(pair);
    }
  }

  close(): void {
    clearInterval(this.#sweep);
    for (const timer of this.#retrying.values()) clearTimeout(timer);
    this.#retrying.clear();
  }

  #add(pair: string, id: string, state: Entry["state"]): void {
    if (this.#entries >= mostEntries) return;
    const entries = this.#pairs.get(pair) ?? new Map<string, Entry>();
    if (entries.has(id)) return;
    entries.set(id, { id, state, acceptedAt: this.#now(), heldBack: state === "deferred", missing: false });
    this.#pairs.set(pair, entries);
    this.#entries++;
  }

  /** The next one that was held back is retried, unless it waits for its turn already. */
  #remove(pair: string, entry: Entry): void {
    const entries = this.#pairs.get(pair);
    if (!entries?.delete(entry.id)) return;
    this.#entries--;
    if (entries.size === 0) this.#pairs.delete(pair);
    this.#wake(pair);
    const next = entries.values().next().value;
    if (next?.heldBack && next.state === "deferred") this.#retry(next.id);
  }

  #earlier(pair: string, entry: Entry): Entry | undefined {
    const asideBefore = this.#now() - standsAsideAfterMs;
    for (const each of this.#pairs.get(pair)?.values() ?? []) {
      if (each === entry) return undefined;
      if (each.state === "delivering" || (each.refusedSince ?? Number.POSITIVE_INFINITY) > asideBefore) return each;
    }
    return undefined;
  }

  /** Resolves when something has changed for the pair, or after the time between two listings. */
  async #changed(pair: string): Promise<void> {
    await new Promise<void>((resolve) => {
      const wakers = this.#wakers.get(pair) ?? new Set();
      this.#wakers.set(pair, wakers);
      const done = () => {
        clearTimeout(timer);
        wakers.delete(done);
        if (wakers.size === 0) this.#wakers.delete(pair);
        resolve();
      };
      const timer = setTimeout(done, listEveryMs);
      wakers.add(done);
    });
  }

  #wake(pair: string): void {
    for (const wake of [...(this.#wakers.get(pair) ?? [])]) wake();
  }

  #retry(id: string): void {
    if (this.#retrying.has(id)) return;
    const again = (nth: number) => {
      const delay = retryDelaysMs[nth];
      if (delay === undefined) return void this.#retrying.delete(id);
      const run = () => {
        this.#options.retry(id).catch(this.#options.onFailure);
        again(nth + 1);
      };
      this.#retrying.set(id, setTimeout(run, delay).unref());
    };
    again(0);
  }

  #stopRetrying(id: string): void {
    clearTimeout(this.#retrying.get(id));
    this.#retrying.delete(id);
  }

  /** What was accepted before this process started. Without a listing, order begins with what is accepted from now on. */
  async #load(): Promise<void> {
    try {
      const listed = (await this.#options.list()).toSorted((a, b) => (timeOf(a.id) < timeOf(b.id) ? -1 : 1));
      const known = [...this.#pairs];
      this.#pairs.clear();
      this.#entries = 0;
      for (const { id, sender, recipients, queue } of listed) {
        if (sender === "") continue;
        const state = queue === "deferred" ? "deferred" : "queued";
        for (const recipient of recipients) this.#add(pairOf({ sender, recipient }), id, state);
      }
      for (const [pair, entries] of known) for (const { id, state } of entries.values()) this.#add(pair, id, state);
    } catch (thrown) {
      this.#options.onFailure(thrown);
    }
  }

  /** One listing for all who want one; a tenth of the time at most. */
  #refresh(): Promise<void> {
    if (this.#now() < this.#nextListingAt) return Promise.resolve();
    this.#listing ??= this.#list().finally(() => {
      this.#listing = undefined;
    });
    return this.#listing;
  }

  async #list(): Promise<void> {
    const started = this.#now();
    try {
      this.#compare(await this.#options.list(), started);
    } catch (thrown) {
      this.#options.onFailure(thrown);
    }
    const ended = this.#now();
    this.#nextListingAt = ended + Math.max(listEveryMs, 10 * (ended - started));
  }

  /** An entry that two listings in a row lack is done. */
  #compare(listed: readonly ListedMail[], started: number): void {
    const queueOf = new Map<string, string>();
    for (const { id, sender, recipients, queue } of listed) {
      for (const recipient of recipients) queueOf.set(`${id}\n${pairOf({ sender, recipient })}`, queue);
    }
    for (const [pair, entries] of [...this.#pairs]) {
      for (const entry of [...entries.values()]) {
        if (entry.acceptedAt >= started || entry.state === "delivering") continue;
        const queue = queueOf.get(`${entry.id}\n${pair}`);
        if (queue === undefined && entry.missing) this.#remove(pair, entry);
        entry.missing = queue === undefined;
        if (queue !== "deferred" || entry.state === "deferred") continue;
        entry.state = "deferred";
        entry.refusedSince ??= this.#now();
        this.#wake(pair);
      }
    }
  }

  /** Mail that went by SMTP, or never came into the queue, is seen to be done by nobody else. */
  #sweepOld(): void {
    if (this.#entries > 0) void this.#refresh();
  }
}

const pairOf = ({ sender, recipient }: { sender: string; recipient: string }) =>
  `${sender.toLowerCase()}\n${recipient.toLowerCase()}`;

/** A long queue ID begins with seconds and microseconds as ten digits of base 52, which sort as text. */
const timeOf = (id: string) => id.slice(0, 10);
