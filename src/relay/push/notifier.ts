/** Wakes the devices of an address: hands each of its tokens to the push service, and again later where that fails. */
import { join } from "node:path";
import type { Logger } from "pino";
import type { Domains } from "../domains.ts";
import { localAddress } from "../domains.ts";
import * as events from "../events.ts";
import type { TokenStore } from "../metadata/tokens.ts";
import type { Metrics } from "../metrics.ts";
import { dueMs, type Pending, verdictOf, workersFor } from "./policy.ts";
import { forgetPush, leftPushes, type StoredPush, storePush } from "./store.ts";

export interface NotifierOptions {
  config: Domains;
  tokens: TokenStore;
  log: Logger;
  metrics: Metrics;
  now(): number;
  /** Status of the push service's answer. Throws when there is none. */
  post(token: string, signal: AbortSignal): Promise<number>;
}

interface Push {
  stored: StoredPush;
  attempt: number;
  timer?: NodeJS.Timeout;
}

export class Notifier {
  readonly #options: NotifierOptions;
  /** Due now, by the number of their try. */
  readonly #due: Push[][] = workersFor.map(() => []);
  readonly #running: number[] = workersFor.map(() => 0);
  /** By address and token: due, or to be tried again later; not what is being tried. */
  readonly #waiting = new Map<string, Push>();
  /** Being tried, by the same: one at a time, so that a burst of messages is two pushes. */
  readonly #trying = new Set<string>();
  readonly #stopping = new AbortController();
  readonly #work = new Set<Promise<void>>();

  constructor(options: NotifierOptions) {
    this.#options = options;
  }

  /** Takes up what an earlier run left. */
  async start(): Promise<void> {
    const { config, log, now } = this.#options;
    for (const domain of Object.keys(config.domains)) {
      const { stored, spurious } = await leftPushes(join(config.mailFolder, domain));
      if (spurious > 0) events.spuriousPushes(log, domain, spurious);
      for (const each of stored) {
        if (this.#waiting.has(keyOf(each.pending)) || dueMs(each.pending, 0, now()) === undefined) {
          await forgetPush(each);
        } else this.#add({ stored: each, attempt: 0 });
      }
    }
  }

  /** A message has come for this address. Resolves when its devices will be told, not when they have been. */
  async messageCame(address: string): Promise<void> {
    const { config, tokens, now } = this.#options;
    const account = localAddress(config, address);
    if (!account) return;
    for (const token of await tokens.list(account)) {
      const pending = { address: account.address, startedAt: Math.floor(now() / 1000), token };
      const earlier = this.#waiting.get(keyOf(pending));
      // One that has not begun wakes the device for this message too; one that waits for its next try makes way.
      if (earlier && earlier.attempt === 0) continue;
      const stored = await storePush(join(config.mailFolder, account.domain), pending);
      const same = this.#waiting.get(keyOf(pending));
      if (same) await this.#drop(same);
      this.#add({ stored, attempt: 0 });
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

  #add(push: Push): void {
    this.#waiting.set(keyOf(push.stored.pending), push);
    this.#due[push.attempt]?.push(push);
    this.#next(push.attempt);
  }

  /** Starts what is due and has a free worker. */
  #next(attempt: number): void {
    const due = this.#due[attempt] ?? [];
    while (!this.#stopping.signal.aborted && (this.#running[attempt] ?? 0) < (workersFor[attempt] ?? 0)) {
      const index = due.findIndex(({ stored }) => !this.#trying.has(keyOf(stored.pending)));
      const [push] = index < 0 ? [] : due.splice(index, 1);
      if (!push) return;
      const key = keyOf(push.stored.pending);
      if (this.#waiting.get(key) !== push) continue; // dropped meanwhile
      this.#waiting.delete(key);
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
    metrics.count("push_tries_total", { outcome: verdict });
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
      metrics.count("push_dropped_total");
      events.pushTooLate(log);
      return forgetPush(stored);
    }
    const push: Push = { stored, attempt: attempt + 1 };
    this.#waiting.set(keyOf(stored.pending), push);
    push.timer = setTimeout(() => {
      this.#due[push.attempt]?.push(push);
      this.#next(push.attempt);
    }, due - now());
    push.timer.unref();
  }

  async #drop(push: Push): Promise<void> {
    clearTimeout(push.timer);
    this.#waiting.delete(keyOf(push.stored.pending));
    await forgetPush(push.stored);
  }
}

const keyOf = ({ address, token }: Pending) => `${address} ${token}`;
