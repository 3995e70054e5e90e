/**
 * Wakes the devices of an address: hands each of its tokens to the push service, and again later
 * where that fails.
 */
import { join } from "node:path";
import type { Logger } from "pino";
import { type Domains, localAddress, ourDomainOf } from "../domains.ts";
import * as events from "../events.ts";
import { maxTokens } from "../metadata/policy.ts";
import type { TokenStore } from "../metadata/tokens.ts";
import type { Metrics } from "../metrics.ts";
import { IdleFirst } from "./idle-first.ts";
import { dueMs, maxWaitingBytes, type Pending, verdictOf, waitingBytes, workersFor } from "./policy.ts";
import { forgetPush, leftPushes, type StoredPush, storePush } from "./store.ts";

export interface NotifierOptions {
  config: Domains;
  /** Those whose pushes it takes up at its start. */
  domains: readonly string[];
  tokens: TokenStore;
  log: Logger;
  metrics: Metrics;
  now: () => number;
  /** Status of the push service's answer. Throws when there is none. */
  post: (token: string, signal: AbortSignal) => Promise<number>;
}

interface Push {
  stored: StoredPush;
  attempt: number;
  timer?: NodeJS.Timeout;
}

export class Notifier {
  readonly #options: NotifierOptions;
  /** Due now, by the number of their try; each address in its turn. */
  readonly #due: IdleFirst<Push>[] = workersFor.map(() => new IdleFirst<Push>());
  readonly #running: number[] = workersFor.map(() => 0);
  /** By address and token: due, or to be tried again later; not what is being tried. */
  readonly #waiting = new Map<string, Push>();
  /** The same by address, in the order in which they came. */
  readonly #byAddress = new Map<string, Set<Push>>();
  #waitingBytes = 0;
  /** Being tried, by the same: one at a time, so that a burst of messages is two pushes. */
  readonly #trying = new Set<string>();
  readonly #stopping = new AbortController();
  readonly #work = new Set<Promise<void>>();

  constructor(options: NotifierOptions) {
    this.#options = options;
  }

  /** Takes up what an earlier run left. */
  async start(): Promise<void> {
    const { config, domains, log, now } = this.#options;
    for (const domain of domains) {
      const { stored, spurious } = await leftPushes(join(config.mailFolder, domain));
      if (spurious > 0) events.spuriousPushes(log, domain, spurious);
      for (const each of stored) {
        if (this.#waiting.has(keyOf(each.pending)) || dueMs(each.pending, 0, now()) === undefined) {
          await forgetPush(each);
        } else await this.#add({ stored: each, attempt: 0 });
      }
    }
  }

  /**
   * A message has come for this address. Resolves when its devices will be told, not when they have
   * been.
   */
  async messageCame(address: string): Promise<void> {
    const { config, tokens, now } = this.#options;
    const account = localAddress(config, address);
    if (!account) return;
    for (const token of await tokens.list(account)) {
      const pending = { address: account.address, startedAt: Math.floor(now() / 1000), token };
      const earlier = this.#waiting.get(keyOf(pending));
      // One that has not begun wakes the device for this message too; one that waits for its next
      // try makes way.
      if (earlier && earlier.attempt === 0) continue;
      const stored = await storePush(join(config.mailFolder, account.domain), pending);
      const same = this.#waiting.get(keyOf(pending));
      if (same) await this.#drop(same);
      await this.#add({ stored, attempt: 0 });
    }
  }

  /** Pushes that wait for a try or are being tried. */
  get pending(): number {
    return this.#waiting.size + this.#trying.size;
  }

  /** What is being tried is broken off; its file stays for the next start. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error("stopping"));
    for (const push of this.#waiting.values()) clearTimeout(push.timer);
    await Promise.all(this.#work);
  }

  async #add(push: Push): Promise<void> {
    this.#keep(push);
    this.#due[push.attempt]?.add(push.stored.pending.address, push);
    this.#next(push.attempt);
    await this.#dropTooMany(push.stored.pending.address);
  }

  #keep(push: Push): void {
    const { pending } = push.stored;
    this.#waiting.set(keyOf(pending), push);
    const same = this.#byAddress.get(pending.address);
    if (same) same.add(push);
    else this.#byAddress.set(pending.address, new Set([push]));
    this.#waitingBytes += waitingBytes(pending);
  }

  #release(push: Push): void {
    const { pending } = push.stored;
    this.#waiting.delete(keyOf(pending));
    this.#waitingBytes -= waitingBytes(pending);
    const same = this.#byAddress.get(pending.address);
    same?.delete(push);
    if (same?.size === 0) this.#byAddress.delete(pending.address);
  }

  /**
   * Of this address no more than it has devices, and of all no more than there is memory for;
   * whoever has most loses the oldest.
   */
  async #dropTooMany(address: string): Promise<void> {
    const { log, metrics } = this.#options;
    const tooMany: Push[] = [];
    const drop = (from: Set<Push> | undefined) => {
      const [oldest] = from ?? [];
      if (!oldest) return false;
      this.#forgetWaiting(oldest);
      return tooMany.push(oldest) > 0;
    };
    while ((this.#byAddress.get(address)?.size ?? 0) > maxTokens) drop(this.#byAddress.get(address));
    while (this.#waitingBytes > maxWaitingBytes && drop(this.#largest()));
    if (tooMany.length === 0) return;
    events.pushesTooMany(log, tooMany.length);
    for (const push of tooMany) {
      metrics.of(this.#domainOf(push.stored)).count("push_dropped_total");
      await forgetPush(push.stored);
    }
  }

  #largest(): Set<Push> | undefined {
    let largest: Set<Push> | undefined;
    for (const same of this.#byAddress.values()) if (same.size > (largest?.size ?? 0)) largest = same;
    return largest;
  }

  /** Starts what is due and has a free worker. */
  #next(attempt: number): void {
    const due = this.#due[attempt];
    while (!this.#stopping.signal.aborted && (this.#running[attempt] ?? 0) < (workersFor[attempt] ?? 0)) {
      const push = due?.take(({ stored }) => !this.#trying.has(keyOf(stored.pending)));
      if (!push) return;
      const key = keyOf(push.stored.pending);
      this.#release(push);
      this.#trying.add(key);
      this.#running[attempt] = (this.#running[attempt] ?? 0) + 1;
      const work = this.#try(push)
        .catch((thrown) => events.answerFailed(this.#options.log, "push", thrown))
        .finally(() => {
          this.#running[attempt] = (this.#running[attempt] ?? 0) - 1;
          this.#work.delete(work);
          this.#trying.delete(key);
          for (const number of workersFor.keys()) this.#next(number);
        });
      this.#work.add(work);
    }
  }

  async #try(push: Push): Promise<void> {
    const { config, tokens, metrics, post } = this.#options;
    const { pending } = push.stored;
    const verdict = verdictOf(await post(pending.token, this.#stopping.signal).catch(() => undefined));
    if (this.#stopping.signal.aborted && verdict === "retry") return;
    metrics.of(this.#domainOf(push.stored)).count("push_tries_total", { outcome: verdict });
    if (verdict === "retry") return this.#later(push);
    const account = localAddress(config, pending.address);
    if (verdict === "gone" && account) await tokens.remove(account, pending.token);
    await forgetPush(push.stored);
  }

  async #later({ stored, attempt }: Push): Promise<void> {
    const { log, metrics, now } = this.#options;
    const due = dueMs(stored.pending, attempt + 1, now());
    // a newer one for the same device may wait by now
    if (this.#waiting.has(keyOf(stored.pending))) return forgetPush(stored);
    if (due === undefined) {
      metrics.of(this.#domainOf(stored)).count("push_dropped_total");
      events.pushTooLate(log);
      return forgetPush(stored);
    }
    const push: Push = { stored, attempt: attempt + 1 };
    this.#keep(push);
    push.timer = setTimeout(() => {
      this.#due[push.attempt]?.add(stored.pending.address, push);
      this.#next(push.attempt);
    }, due - now());
    push.timer.unref();
    await this.#dropTooMany(stored.pending.address);
  }

  async #drop(push: Push): Promise<void> {
    this.#forgetWaiting(push);
    await forgetPush(push.stored);
  }

  #domainOf({ pending }: StoredPush): string | undefined {
    return ourDomainOf(this.#options.config, pending.address);
  }

  #forgetWaiting(push: Push): void {
    clearTimeout(push.timer);
    this.#release(push);
    this.#due[push.attempt]?.remove(push.stored.pending.address, push);
  }
}

const keyOf = ({ address, token }: Pending) => `${address} ${token}`;
