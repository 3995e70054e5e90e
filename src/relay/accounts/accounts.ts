/** Who is this, is this the password: one place for every door. An address is made the first time somebody logs in with it (reference §11). */
import { createHmac, randomBytes } from "node:crypto";
import type { Logger } from "pino";
import { type Domains, type LocalAddress, localAddress } from "../domains.ts";
import * as events from "../events.ts";
import { readInvites } from "../invites/store.ts";
import type { Metrics } from "../metrics.ts";
import { OneAtATime } from "../one-at-a-time.ts";
import { RateLimiter } from "../rate.ts";
import { clientKey } from "./client.ts";
import type { HashJob, HashResult } from "./hash-worker.ts";
import { creationRefusal, maxPasswordBytes, type Resources, resourceShortage } from "./policy.ts";
import { newSetting } from "./sha512-crypt.ts";
import { accountExists, hasMailButNoPassword, readPassword, writeAccount } from "./store.ts";

export type Login =
  | { kind: "ok"; account: LocalAddress }
  | { kind: "wrongPassword" }
  /** No such address, and none was made. */
  | { kind: "unknown" };

export interface AccountsOptions {
  config: Domains;
  log: Logger;
  metrics: Metrics;
  now(): number;
  hash(job: HashJob): Promise<HashResult>;
  resources(diskFolder: string): Promise<Resources>;
}

/** How long a password that was right need not be hashed again. */
const rememberMs = 600_000;
const maxRemembered = 10_000;

export class Accounts {
  readonly #options: AccountsOptions;
  readonly #creating = new OneAtATime();
  readonly #remembered: RememberedPasswords;
  /** Addresses made, by domain and client. In memory alone: a restart is rare, and gives each client one burst more. */
  readonly #made: RateLimiter;

  constructor(options: AccountsOptions) {
    this.#options = options;
    this.#remembered = new RememberedPasswords(options.now);
    this.#made = new RateLimiter(options.now);
  }

  /** `client`: the address of who logs in, where it is known. Throws when the question can't be answered now. */
  async login(address: string, password: string, client = ""): Promise<Login> {
    const account = localAddress(this.#options.config, address);
    if (!account || password.includes("\0")) return { kind: "unknown" };
    const known = await this.#check(account, password);
    if (known) return known;
    const refusal =
      creationRefusal(account, password, await readInvites(account.limits)) ??
      (hasMailButNoPassword(account) ? "blocked" : undefined);
    if (refusal) return this.#refuse(refusal);
    const shortage = resourceShortage(
      account.limits.refuseNew,
      await this.#options.resources(this.#options.config.mailFolder),
    );
    if (shortage) {
      events.registrationRejected(this.#options.log, account.domain, shortage);
      return this.#refuse("resources");
    }
    return this.#creating.run(account.address, () => this.#create(account, password, clientKey(client)));
  }

  /** The account of an address, where it exists; never makes one. */
  find(address: string): LocalAddress | undefined {
    const account = localAddress(this.#options.config, address);
    return account && accountExists(account) ? account : undefined;
  }

  /** Undefined where the account does not exist. */
  async #check(account: LocalAddress, password: string): Promise<Login | undefined> {
    const stored = await readPassword(account);
    if (stored.kind === "none") return undefined;
    if (stored.kind === "unusable") {
      if (!stored.empty) return { kind: "wrongPassword" };
      events.emptyPassword(this.#options.log, account.domain);
      return undefined;
    }
    if (this.#remembered.has(stored.crypt, password)) return { kind: "ok", account };
    if (Buffer.byteLength(password) > maxPasswordBytes) return { kind: "wrongPassword" };
    const right = await this.#options.hash({ kind: "verify", password, stored: stored.crypt });
    if (right !== true) return { kind: "wrongPassword" };
    this.#remembered.add(stored.crypt, password);
    return { kind: "ok", account };
  }

  async #create(account: LocalAddress, password: string, client: string | undefined): Promise<Login> {
    const { hash, now, log, metrics } = this.#options;
    const meanwhile = await this.#check(account, password);
    if (meanwhile) return meanwhile;
    const { createRatePerMinute: perMinute, createBurst: burst } = account.limits;
    if (client !== undefined && this.#made.take(`${account.domain} ${client}`, { perMinute, burst })) {
      events.registrationRejected(
        log,
        account.domain,
        `more than ${burst} at once from one client, ${perMinute} a minute`,
      );
      return this.#refuse("rate");
    }
    const crypt = await hash({ kind: "hash", password, setting: newSetting(randomBytes(12)) });
    if (typeof crypt !== "string") throw new Error("no password hash was made");
    if (!(await writeAccount(account, crypt, now())))
      return (await this.#check(account, password)) ?? { kind: "unknown" };
    this.#remembered.add(crypt, password);
    metrics.count("created_accounts");
    metrics.count(account.local.startsWith("ci-") ? "created_ci_accounts" : "created_nonci_accounts");
    events.accountCreated(log, account.domain);
    return { kind: "ok", account };
  }

  #refuse(reason: string): Login {
    this.#options.metrics.count("rejected_registrations", { reason });
    return { kind: "unknown" };
  }
}

/**
 * Clients connect again and again with the same password; hashing it each time would cost 5 ms of CPU. Kept is a digest, keyed with a secret
 * of this process, of stored hash and password together: it says nothing without the process, and ends with any change of the stored hash.
 */
class RememberedPasswords {
  readonly #secret = randomBytes(32);
  readonly #until = new Map<string, number>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  has(crypt: string, password: string): boolean {
    return (this.#until.get(this.#key(crypt, password)) ?? 0) > this.#now();
  }

  add(crypt: string, password: string): void {
    const [oldest] = this.#until.keys();
    if (this.#until.size >= maxRemembered && oldest !== undefined) this.#until.delete(oldest);
    this.#until.set(this.#key(crypt, password), this.#now() + rememberMs);
  }

  #key(crypt: string, password: string): string {
    return createHmac("sha256", this.#secret).update(`${crypt}\0${password}`).digest("base64");
  }
}
