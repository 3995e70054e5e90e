/**
 * Is this the password of this address: the same answer for IMAP and submission. An address is made
 * by the first login with it (chatmail protocol §12).
 */
import type { Logger } from "pino";
import type { AcceptingReason, NotAccepting } from "../../api/reasons.ts";
import type { DomainLimits } from "../../pod/relay-config.ts";
import { type Domains, type LocalAddress, localAddress } from "../domains.ts";
import * as events from "../events.ts";
import { readInvites } from "../invites/store.ts";
import type { Metrics } from "../metrics.ts";
import { OneAtATime } from "../one-at-a-time.ts";
import { RateLimiter } from "../rate.ts";
import { clientKey } from "./client.ts";
import type { HashJob, HashResult } from "./hash-worker.ts";
import { type Attempt, PasswordChecks } from "./password-checks.ts";
import {
  type CreationRefusal,
  creationRefusal,
  maxPasswordBytes,
  type Resources,
  resourceShortage,
  type Short,
} from "./policy.ts";
import type { Later, Shortage } from "./refusals.ts";
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
  now: () => number;
  hash(job: HashJob): Promise<HashResult>;
  hashesAtOnce: number;
  resources(diskFolder: string): Promise<Resources>;
  /** A login succeeded. `from`: the address of the client, where it is known. */
  onLogin?(account: LocalAddress, from: string): void;
}

/** As the condition AcceptingAccounts has them. */
const conditionReasons = {
  load: "LoadHigh",
  memory: "MemoryLow",
  disk: "DiskLow",
} as const satisfies Record<Shortage, AcceptingReason>;
const closed: NotAccepting = { reason: "Closed", message: "registration is Closed" };

/** When it is worth another try after a resource was short. */
const shortageRetryMs = 60_000;

export class Accounts {
  readonly #options: AccountsOptions;
  readonly #creating = new OneAtATime();
  readonly #passwords: PasswordChecks;
  /**
   * Addresses made, by domain and client. In memory alone: a restart is rare, and gives each client
   * one burst more.
   */
  readonly #made: RateLimiter;
  /** What is short, by domain. */
  readonly #short = new Map<string, Shortage>();

  constructor(options: AccountsOptions) {
    this.#options = options;
    this.#passwords = new PasswordChecks(options);
    this.#made = new RateLimiter(options.now);
  }

  /**
   * `from`: the address of the client, where it is known. Throws when the files of accounts can't
   * be read or written.
   */
  async login(address: string, password: string, from = ""): Promise<Login> {
    const login = await this.#login(address, password, from);
    if (login.kind === "ok") this.#options.onLogin?.(login.account, from);
    return login;
  }

  async #login(address: string, password: string, from: string): Promise<Login> {
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
    const short = await this.#shortage(account.domain, account.limits);
    if (short) return this.#notNow(account.domain, short);
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
    if (client !== undefined) {
      const next = this.#made.take(madeKey(account.domain, client), madeRate(account.limits));
      if (next) return this.#notNow(account.domain, this.#tooMany(next, account.limits));
    }
    const crypt = await this.#passwords.create(attempt);
    if (typeof crypt === "object") return crypt;
    if (!(await writeAccount(account, crypt, now())))
      return (await this.#check(account, attempt)) ?? { kind: "unknown" };
    this.#passwords.created(attempt, crypt);
    const created = metrics.of(account.domain);
    created.count("created_accounts");
    created.count(account.local.startsWith("ci-") ? "created_ci_accounts" : "created_nonci_accounts");
    events.accountCreated(log, account.domain);
    return { kind: "ok", account };
  }

  /**
   * Whether a new address of this domain could log in now, and why not. `from`: the address of the
   * client, where it is known. Makes nothing.
   */
  async welcome(domain: string, limits: DomainLimits, from = ""): Promise<Later | undefined> {
    const short = await this.#shortage(domain, limits);
    if (short) return this.#notNow(domain, short);
    const client = clientKey(from);
    const next = client === undefined ? undefined : this.#made.next(madeKey(domain, client), madeRate(limits));
    return next && this.#notNow(domain, this.#tooMany(next, limits));
  }

  /** By domain, why no address is made, for whoever asks; undefined: they are made. */
  async refusals(): Promise<Record<string, NotAccepting | undefined>> {
    const domains = Object.entries(this.#options.config.domains);
    const found = domains.map(async ([domain, limits]) => {
      if (limits.registration === "Closed") return [domain, closed] as const;
      const short = await this.#shortage(domain, limits);
      return [domain, short && { reason: conditionReasons[short.resource], message: short.why }] as const;
    });
    return Object.fromEntries(await Promise.all(found));
  }

  async #shortage(domain: string, limits: DomainLimits): Promise<Short | undefined> {
    const seen = await this.#options.resources(this.#options.config.mailFolder);
    const short = resourceShortage(limits.refuseNew, seen, this.#short.get(domain));
    if (short) this.#short.set(domain, short.resource);
    else this.#short.delete(domain);
    return short;
  }

  #tooMany(next: Date, { createBurst, createRatePerMinute }: DomainLimits) {
    const why = `more than ${createBurst} at once from one client, ${createRatePerMinute} a minute`;
    return { resource: "rate", why, retryMs: next.getTime() - this.#options.now() } as const;
  }

  #notNow(domain: string, refused: { resource: Shortage | "rate"; why: string; retryMs?: number }): Later {
    const { resource: reason, why, retryMs = shortageRetryMs } = refused;
    events.registrationRejected(this.#options.log, domain, why);
    this.#options.metrics
      .of(domain)
      .count("rejected_registrations", { reason: reason === "rate" ? "rate" : "resources" });
    return { kind: "later", reason, retryMs };
  }

  /**
   * Where not everybody may make an address, the answer takes as long as a wrong password: it says
   * nothing of who has one.
   */
  async #refuse(
    reason: CreationRefusal | "blocked",
    { domain, limits }: LocalAddress,
    attempt: Attempt,
  ): Promise<Login> {
    this.#options.metrics.of(domain).count("rejected_registrations", { reason });
    if (limits.registration === "Open" || Buffer.byteLength(attempt.password) > maxPasswordBytes) {
      return { kind: "unknown" };
    }
    const verdict = await this.#passwords.check(attempt, undefined);
    return verdict.kind === "later" ? verdict : { kind: "unknown" };
  }
}

const madeKey = (domain: string, client: string) => `${domain} ${client}`;
const madeRate = ({ createRatePerMinute: perMinute, createBurst: burst }: DomainLimits) => ({ perMinute, burst });
