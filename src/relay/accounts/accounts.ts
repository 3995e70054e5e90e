/** Is this the password of this address: the same answer for IMAP and submission. An address is made by the first login with it (reference §11). */
import type { Logger } from "pino";
import { type Domains, type LocalAddress, localAddress } from "../domains.ts";
import * as events from "../events.ts";
import { readInvites } from "../invites/store.ts";
import type { Metrics } from "../metrics.ts";
import { OneAtATime } from "../one-at-a-time.ts";
import { RateLimiter } from "../rate.ts";
import { clientKey } from "./client.ts";
import type { HashJob, HashResult } from "./hash-worker.ts";
import { type Attempt, PasswordChecks } from "./password-checks.ts";
import { creationRefusal, maxPasswordBytes, type Resources, resourceShortage } from "./policy.ts";
import type { Later } from "./refusals.ts";
import { accountExists, hasMailButNoPassword, readPassword, writeAccount } from "./store.ts";

export type Login =
  | { kind: "ok"; account: LocalAddress }
  | { kind: "wrongPassword" }
  /** No such address, and none was made. */
  | { kind: "unknown" }
  /** Neither right nor wrong: it was not checked, or no address is made now. */
  | Later;

export interface AccountsOptions {
  config: Domains;
  log: Logger;
  metrics: Metrics;
  now(): number;
  hash(job: HashJob): Promise<HashResult>;
  hashesAtOnce: number;
  resources(diskFolder: string): Promise<Resources>;
}

export class Accounts {
  readonly #options: AccountsOptions;
  readonly #creating = new OneAtATime();
  readonly #passwords: PasswordChecks;
  /** Addresses made, by domain and client. In memory alone: a restart is rare, and gives each client one burst more. */
  readonly #made: RateLimiter;

  constructor(options: AccountsOptions) {
    this.#options = options;
    this.#passwords = new PasswordChecks(options);
    this.#made = new RateLimiter(options.now);
  }

  /** `from`: the address of the client, where it is known. Throws when the files of accounts can't be read or written. */
  async login(address: string, password: string, from = ""): Promise<Login> {
    const account = localAddress(this.#options.config, address);
    if (!account || password.includes("\0")) return { kind: "unknown" };
    const client = clientKey(from);
    const attempt = { account: account.address, client: client ?? "", password };
    const known = await this.#check(account, attempt);
    if (known) return known;
    const refusal =
      creationRefusal(account, password, await readInvites(account.limits)) ??
      (hasMailButNoPassword(account) ? "blocked" : undefined);
    if (refusal) return this.#refuse(refusal, account, attempt);
    const shortage = resourceShortage(
      account.limits.refuseNew,
      await this.#options.resources(this.#options.config.mailFolder),
    );
    if (shortage) {
      events.registrationRejected(this.#options.log, account.domain, shortage);
      return this.#refuse("resources", account, attempt);
    }
    return this.#creating.run(account.address, () => this.#create(account, attempt, client));
  }

  /** The account of an address, where it exists; never makes one. */
  find(address: string): LocalAddress | undefined {
    const account = localAddress(this.#options.config, address);
    return account && accountExists(account) ? account : undefined;
  }

  /** Undefined where the account does not exist. */
  async #check(account: LocalAddress, attempt: Attempt): Promise<Login | undefined> {
    const stored = await readPassword(account);
    if (stored.kind === "none") return undefined;
    if (stored.kind === "unusable" && stored.empty) {
      events.emptyPassword(this.#options.log, account.domain);
      return undefined;
    }
    if (Buffer.byteLength(attempt.password) > maxPasswordBytes) return { kind: "wrongPassword" };
    const verdict = await this.#passwords.check(attempt, stored.kind === "hash" ? stored.crypt : undefined);
    if (verdict.kind === "later") return verdict;
    return verdict.kind === "right" ? { kind: "ok", account } : { kind: "wrongPassword" };
  }

  async #create(account: LocalAddress, attempt: Attempt, client: string | undefined): Promise<Login> {
    const { now, log, metrics } = this.#options;
    const meanwhile = await this.#check(account, attempt);
    if (meanwhile) return meanwhile;
    const { createRatePerMinute: perMinute, createBurst: burst } = account.limits;
    if (client !== undefined && this.#made.take(`${account.domain} ${client}`, { perMinute, burst })) {
      events.registrationRejected(
        log,
        account.domain,
        `more than ${burst} at once from one client, ${perMinute} a minute`,
      );
      return this.#refuse("rate", account, attempt);
    }
    const crypt = await this.#passwords.create(attempt);
    if (typeof crypt === "object") return crypt;
    if (!(await writeAccount(account, crypt, now())))
      return (await this.#check(account, attempt)) ?? { kind: "unknown" };
    this.#passwords.created(attempt, crypt);
    metrics.count("created_accounts");
    metrics.count(account.local.startsWith("ci-") ? "created_ci_accounts" : "created_nonci_accounts");
    events.accountCreated(log, account.domain);
    return { kind: "ok", account };
  }

  /** Where not everybody may make an address, the answer takes as long as a wrong password: it says nothing of who has one. */
  async #refuse(reason: string, { limits }: LocalAddress, attempt: Attempt): Promise<Login> {
    this.#options.metrics.count("rejected_registrations", { reason });
    if (limits.registration === "Open" || Buffer.byteLength(attempt.password) > maxPasswordBytes) {
      return { kind: "unknown" };
    }
    const verdict = await this.#passwords.check(attempt, undefined);
    return verdict.kind === "later" ? verdict : { kind: "unknown" };
  }
}
