/**
 * Checks passwords in turns. A hash takes some milliseconds of CPU, so whoever sends many wrong
 * passwords must not hold up others: a right password that was seen before is not hashed again, a
 * client that fails too often waits, and the rest is queued fairly.
 */
import { randomBytes } from "node:crypto";
import { FairQueue, QueueFull } from "../fair-queue.ts";
import { networkKey } from "./client.ts";
import { LoginFailures, type Origin, pairKey } from "./failures.ts";
import type { HashJob, HashResult } from "./hash-worker.ts";
import type { Later } from "./refusals.ts";
import { KnownClients, RememberedPasswords } from "./remembered.ts";
import { newSetting } from "./sha512-crypt.ts";

/**
 * How many attempts may wait. At some 5 ms each, the last of `most` waits little more than a
 * second.
 */
const bounds = { most: 500, mostOfAccount: 16, mostOfPair: 4 };
/** For a whole provider behind one address (carrier-grade NAT). */
const mostOfNetwork = 300;
const mostOfSuspiciousNetwork = 4;

/** When a full queue is likely to have room again. */
const queueRetryMs = 1_000;

export type Verdict = { kind: "right" } | { kind: "wrong" } | Later;

/** Who asks, and for which account. */
export interface Attempt {
  /** As of `clientKey`; "" where it is not known. */
  client: string;
  account: string;
  password: string;
}

export interface PasswordChecksOptions {
  now: () => number;
  hash(job: HashJob): Promise<HashResult>;
  /** How many hashes are computed at the same time. */
  hashesAtOnce: number;
}

export class PasswordChecks {
  readonly #options: PasswordChecksOptions;
  readonly #queue: FairQueue;
  readonly #failures: LoginFailures;
  readonly #remembered: RememberedPasswords;
  readonly #known: KnownClients;
  /** Attempts of one client with one password for one account share one hash. */
  readonly #running = new Map<string, Promise<Verdict>>();
  /** Takes as long to check as a stored hash, and no password is right. */
  readonly #dummy = `${newSetting(randomBytes(12))}${".".repeat(86)}`;

  constructor(options: PasswordChecksOptions) {
    this.#options = options;
    this.#queue = new FairQueue({ ...bounds, atOnce: options.hashesAtOnce });
    this.#failures = new LoginFailures(options.now);
    this.#remembered = new RememberedPasswords(options.now);
    this.#known = new KnownClients(options.now);
  }

  /** `crypt`: the stored hash; undefined where there is none, which takes as long and is wrong. */
  check(attempt: Attempt, crypt: string | undefined): Promise<Verdict> {
    const { client, account, password } = attempt;
    if (crypt !== undefined && this.#remembered.has(crypt, password)) {
      this.#know(client, account);
      return Promise.resolve({ kind: "right" });
    }
    const key = `${pairKey(client, account)} ${this.#remembered.key(crypt ?? "", password)}`;
    const running = this.#running.get(key);
    if (running) return running;
    const started = this.#start(attempt, crypt).finally(() => this.#running.delete(key));
    this.#running.set(key, started);
    return started;
  }

  /** The hash of a new account's password. */
  async create(attempt: Attempt): Promise<string | Later> {
    const { password } = attempt;
    const setting = newSetting(randomBytes(12));
    const crypt = await this.#inTurn(this.#origin(attempt), () =>
      this.#options.hash({ kind: "hash", password, setting }),
    );
    if (typeof crypt === "object") return crypt;
    if (typeof crypt !== "string") throw new Error("no password hash was made");
    return crypt;
  }

  /** Client and password of a new account are known from now on. */
  created(attempt: Attempt, crypt: string): void {
    this.#remember(attempt, crypt);
  }

  async #start(attempt: Attempt, crypt: string | undefined): Promise<Verdict> {
    const origin = this.#origin(attempt);
    const delayed = this.#delayed(origin);
    if (delayed) return delayed;
    const { password } = attempt;
    const right = await this.#inTurn(origin, async () => {
      // others may have failed while it waited
      return this.#delayed(origin) ?? this.#options.hash({ kind: "verify", password, stored: crypt ?? this.#dummy });
    });
    if (typeof right === "object") return right;
    if (crypt === undefined || right !== true) {
      this.#failures.wrong(origin);
      return { kind: "wrong" };
    }
    this.#failures.right(origin);
    this.#remember(attempt, crypt);
    return { kind: "right" };
  }

  #origin({ client, account }: Attempt): Origin {
    return { network: networkKey(client), client, account, known: this.#known.has(client, account) };
  }

  #remember({ client, account, password }: Attempt, crypt: string): void {
    this.#remembered.add(crypt, password);
    this.#know(client, account);
  }

  /** Without an address, all clients would be one that is known. */
  #know(client: string, account: string): void {
    if (client !== "") this.#known.add(client, account);
  }

  #delayed(origin: Origin): Later | undefined {
    const { blockedUntil } = this.#failures.standing(origin);
    return blockedUntil === undefined
      ? undefined
      : { kind: "later", reason: "delayed", retryMs: blockedUntil - this.#options.now() };
  }

  async #inTurn<T>(origin: Origin, work: () => Promise<T>): Promise<T | Later> {
    const { network, client, account, known } = origin;
    const { suspicious } = this.#failures.standing(origin);
    const share = {
      network,
      client,
      account,
      // of a network with many accounts of its own, not all of them can be urgent
      urgent: !suspicious && known,
      mostOfNetwork: suspicious ? mostOfSuspiciousNetwork : mostOfNetwork,
    };
    try {
      return await this.#queue.run(share, work);
    } catch (thrown) {
      if (thrown instanceof QueueFull) return { kind: "later", reason: "busy", retryMs: queueRetryMs };
      throw thrown;
    }
  }
}
