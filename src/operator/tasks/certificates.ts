/**
 * Background task: orders certificates from ACME servers, and renews them. One order of a server at
 * a time; servers that share an account share its limits. What comes of it is written beside the
 * certificate (order-store.ts); a change triggers a reconcile.
 */
import { createHash, type X509Certificate } from "node:crypto";
import { isAddressLiteral } from "../../api/domain.ts";
import { type AccountOptions, AcmeClient, AcmeError } from "../../certificates/acme/client.ts";
import { accountKeyIn } from "../../certificates/acme/jws.ts";
import {
  isLeft,
  next,
  nothingRemembered,
  type Order,
  type OrderEvent,
  resumed,
  storedOf,
} from "../../certificates/acme/order.ts";
import { type Limits, Pacing } from "../../certificates/acme/pacing.ts";
import { type OrderTools, perform } from "../../certificates/acme/perform.ts";
import { certificateId, firstCertificate, type RenewalWindow, renewalTime } from "../../certificates/acme/renewal.ts";
import { type Run, runController } from "../../kube/controller.ts";
import type { Log } from "../../kube/log.ts";
import type { Source } from "../../kube/source.ts";
import { type BackOffLimits, backOffMs } from "../../lib/back-off.ts";
import { BoundedMap } from "../../lib/bounded-map.ts";
import type { Metrics } from "../../lib/metrics.ts";
import { wait } from "../../lib/wait.ts";
import type { HeldCertificate, KeptOrder, OrderStore, SecretName } from "../identity/order-store.ts";
import type { Problem } from "../problem.ts";
import type { ChallengeRecords, WantedRecords } from "./challenge-records.ts";
import { keyedSource } from "./keyed-source.ts";

/** Whose account, and where. Values only: equal ones are one account. */
export interface WantedAccount {
  directoryUrl: string;
  keyPem: string;
  email?: string | undefined;
  /** The HMAC key in base64url. */
  binding?: { keyId: string; hmacKey: string } | undefined;
  authorities?: string | undefined;
}

/** What a server's certificate is to be. */
export interface WantedCertificate {
  /** Where it is served from, with its key. */
  secret: SecretName;
  /** What is there now: another one is looked at anew. */
  sha256?: string | undefined;
  domain: string;
  /** Names that it is to have where the authority can verify them. */
  optional: readonly string[];
  account: WantedAccount;
  profile?: string | undefined;
  challenge: OrderTools["challenge"];
  /** Where the records of DNS-01 are written. */
  update?: WantedRecords | undefined;
  /** Why nothing can be ordered yet. */
  waits?: Problem | undefined;
}

export interface CertificateStatus {
  accountUri?: string | undefined;
  /** How the authority is called in CAA records. */
  caaIdentity?: string | undefined;
  /** When it is renewed; undefined while there is none of an authority. */
  renewalTime?: Date | undefined;
  /** An order is under way. */
  isOrdering: boolean;
  problem?: Problem | undefined;
  /** When it is tried again. */
  retryTime?: Date | undefined;
  /** Names that are left out, and why. */
  left: Readonly<Record<string, string>>;
}

interface Known {
  wanted: WantedCertificate;
  text: string;
  status?: CertificateStatus;
  /** By which settings: see `KeptOrder`. */
  order?: { by: string; is: Order };
  window?: { of: string; is: RenewalWindow | undefined; until: number };
}

interface Shared {
  client: AcmeClient;
  pacing: Pacing;
  /** The account can't be used: all its servers wait for one attempt. */
  failed?: { failures: number; until: number; problem: Problem };
}

const workers = 8;
const mostAccounts = 1_000;
/** Longer ones do not keep a worker. */
const mostWaitMs = 60_000;
const removesWithinMs = 30_000;
const soonMs = 1_000;
const askWindowMs = 6 * 3_600_000;
const againMs = 60_000;
/** The authority does not know the account, or wants something of its holder. */
const ofAccount: readonly string[] = [
  "accountDoesNotExist",
  "externalAccountRequired",
  "userActionRequired",
  "invalidContact",
  "unsupportedContact",
];

export interface CertificatesOptions {
  store: OrderStore;
  now: () => Date;
  limits?: Limits;
  records: ChallengeRecords;
  /** Between tries to use an account. */
  accountBackOff?: BackOffLimits | undefined;
}

export class Certificates {
  readonly #options: CertificatesOptions;
  readonly #known = new Map<string, Known>();
  readonly #accounts = new BoundedMap<string, Shared>(mostAccounts);
  readonly #wantedListeners = new Set<(key: string) => void>();
  readonly #statusListeners = new Set<(key: string) => void>();

  constructor(options: CertificatesOptions) {
    this.#options = options;
  }

  /** Undefined until it was looked at. */
  of(key: string): CertificateStatus | undefined {
    return this.#known.get(key)?.status;
  }

  /** Undefined: none is ordered any more. */
  want(key: string, wanted: WantedCertificate | undefined): void {
    if (!wanted) {
      this.#known.delete(key);
      return;
    }
    const text = JSON.stringify(wanted);
    const known = this.#known.get(key);
    if (known?.text === text) return;
    this.#known.set(key, { ...known, wanted, text });
    for (const listener of this.#wantedListeners) listener(key);
  }

  /** Changes of what is known, as work of the servers by their keys. */
  source(): Source {
    return keyedSource(this.#statusListeners);
  }

  /** Resolves when the signal is aborted; requests in flight are given up. */
  run(options: { signal: AbortSignal; log: Log; metrics?: Metrics }): Promise<void> {
    return runController({
      ...options,
      name: "certificates",
      workers,
      sources: [keyedSource(this.#wantedListeners, () => this.#known.keys())],
      reconcile: async (key, run) => {
        const ms = await this.#look(key, run);
        return ms === undefined ? {} : { againMs: Math.max(1_000, ms) };
      },
    });
  }

  /** Returns when to look again, in milliseconds. */
  async #look(key: string, run: Run): Promise<number | undefined> {
    const known = this.#known.get(key);
    if (!known) return undefined;
    const held = this.#options.store.read(known.wanted.secret);
    // the watch is behind, or the Secret was deleted a moment ago
    if (!held) return soonMs;
    const { wanted } = known;
    const now = this.#options.now();
    const shared = this.#sharedOf(wanted.account);
    const account = await accountOf(shared, { now, backOff: this.#options.accountBackOff }, run.signal);
    const order = orderOf(known, held);
    const certificate = firstCertificate(held.certificatePem);
    const isFirst = !certificate || signedItself(certificate);
    const basis = { ...account, isOrdering: false, left: leftIn(order) };
    const due = isFirst ? undefined : await this.#dueTime({ known, held, certificate, order, shared, now }, run.signal);
    if (order.is === "Idle" && due && due > now) {
      // what keeps it from being renewed may be over by then
      this.#show(key, { ...basis, problem: undefined, renewalTime: due });
      return Math.min(due.getTime() - now.getTime(), askWindowMs * (0.9 + Math.random() * 0.2));
    }
    const status = { ...basis, renewalTime: due };
    if (account.problem) {
      const until = shared.failed?.until ?? now.getTime() + againMs;
      this.#show(key, { ...status, retryTime: new Date(until) });
      return until - now.getTime() + Math.random() * 1_000;
    }
    if (wanted.waits) {
      this.#show(key, { ...status, problem: wanted.waits });
      return undefined;
    }
    return this.#order(key, { known, held, order, shared, certificate, status }, run);
  }

  /** Steps until there is a certificate, or there is something to wait for. */
  async #order(
    key: string,
    of: {
      known: Known;
      held: HeldCertificate;
      order: Order;
      shared: Shared;
      certificate: X509Certificate | undefined;
      status: CertificateStatus;
    },
    { signal, log }: Run,
  ): Promise<number | undefined> {
    const { known, held, shared, certificate, status } = of;
    const { wanted } = known;
    const { store, now, records } = this.#options;
    const from = fromOf(wanted);
    const by = digestOf(wanted);
    const isFirst = !certificate || signedItself(certificate);
    const profile = await profileOf(wanted, shared, signal);
    const replaces = isFirst ? undefined : certificateId(certificate);
    const clean: (() => Promise<void>)[] = [];
    let order = of.order;
    let kept: KeptOrder = held.order;
    const save = async (next: KeptOrder, pem?: string) => {
      if (pem === undefined && JSON.stringify(next) === JSON.stringify(kept)) return;
      const issued = pem === undefined ? undefined : { certificatePem: pem, keyPem: held.keyPem };
      await store.save(wanted.secret, next, issued, signal);
      kept = next;
    };
    const tools: OrderTools = {
      client: shared.client,
      challenge: wanted.challenge,
      keyPem: held.keyPem,
      signal,
      ...(profile !== undefined && { profile }),
      ...(replaces !== undefined && { replaces }),
      publish: async (answers) => {
        const { update } = wanted;
        if (!update) return;
        // also where it fails half way
        clean.push(() => records.remove(answers, update, AbortSignal.timeout(removesWithinMs)));
        await records.put(answers, update, signal);
      },
      store: async (pem) => save({ ...storedOf(next(order, { is: "stored" }, now()).order), from, by }, pem),
    };
    let event: OrderEvent = { is: "wanted", domain: wanted.domain, optional: wanted.optional };
    try {
      for (;;) {
        const step = next(order, event, now());
        order = step.order;
        const { task } = step;
        this.#keep(key, known, order);
        if (event.is === "stored") {
          log.info({ from: wanted.account.directoryUrl }, "certificate issued");
          this.#show(key, { ...status, isOrdering: false, left: leftIn(order), renewalTime: undefined });
          return soonMs;
        }
        await save({ ...storedOf(order), ...(kept.from !== undefined && { from: kept.from }), by });
        if (!task) {
          event = { is: "wanted", domain: wanted.domain, optional: wanted.optional };
          continue;
        }
        if (task.do === "wait") {
          const { lastError = "no certificate was issued" } = order.memory;
          if (event.is === "refused") this.#noteRefusal(event, shared, now());
          const problem = { reason: "CertificateOrderFailed", message: lastError } as const;
          log.warn({ problem: lastError, until: task.until }, "certificate not issued, retrying");
          const retryTime = new Date(task.until);
          this.#show(key, { ...status, isOrdering: false, left: leftIn(order), problem, retryTime });
          return retryTime.getTime() - now().getTime();
        }
        this.#show(key, { ...status, isOrdering: true, left: leftIn(order), problem: undefined });
        if (task.do === "create") {
          const paced = shared.pacing.take({ domain: wanted.domain, isRenewal: !isFirst }, now());
          if (paced) {
            order = { is: "Idle", memory: order.memory };
            this.#keep(key, known, order);
            const retryTime = new Date(now().getTime() + paced.waitMs);
            const problem = { reason: "CertificateOrderFailed", message: `it waits its turn: ${paced.says}` } as const;
            this.#show(key, { ...status, isOrdering: false, problem, retryTime });
            return paced.waitMs;
          }
        }
        if (task.do === "look" && task.afterMs > 0) {
          if (task.afterMs > mostWaitMs) return task.afterMs;
          await wait(task.afterMs, signal);
        }
        event = await perform(task, tools);
      }
    } finally {
      for (const each of clean)
        await each().catch((err: unknown) => log.warn({ err }, "records of a challenge not removed"));
    }
  }

  /** An authority that is overloaded is so for all that use the account. */
  #noteRefusal({ type, retryAfterMs }: Extract<OrderEvent, { is: "refused" }>, { pacing }: Shared, now: Date): void {
    if (type === "serverInternal" && retryAfterMs !== undefined) pacing.pause(Math.min(retryAfterMs, 3_600_000), now);
    // others are likely to be refused as well, but a limit may be of this domain alone
    if (type === "rateLimited") pacing.pause(againMs, now);
  }

  /** When another certificate is due, where there is one of an authority. */
  async #dueTime(
    of: {
      known: Known;
      held: HeldCertificate;
      certificate: X509Certificate;
      order: Order;
      shared: Shared;
      now: Date;
    },
    signal: AbortSignal,
  ): Promise<Date> {
    const { known, held, certificate, order, shared, now } = of;
    const { wanted } = known;
    const { from } = held.order;
    if (from !== undefined && from !== fromOf(wanted)) return now;
    const lacks = [wanted.domain, ...wanted.optional].filter((name) => !isFor(certificate, name));
    if (lacks.some((name) => !isLeft(order.memory, name, now))) return now;
    const joins = lacks.flatMap((name) => new Date(order.memory.left[name]?.until ?? now));
    const window = await this.#windowOf(known, certificate, shared, now, signal);
    return [renewalTime(certificate, window), ...joins].reduce((one, other) => (one < other ? one : other));
  }

  /** As the authority last said; asked again after some hours. */
  async #windowOf(
    known: Known,
    certificate: X509Certificate,
    { client }: Shared,
    now: Date,
    signal: AbortSignal,
  ): Promise<RenewalWindow | undefined> {
    const of = certificate.fingerprint256;
    const { window } = known;
    const before = window?.of === of ? window : undefined;
    if (before && before.until > now.getTime()) return before.is;
    const id = certificateId(certificate);
    let found: (RenewalWindow & { retryAfterMs: number | undefined }) | undefined;
    try {
      found = id === undefined ? undefined : await client.renewalInfo(id, signal);
    } catch (thrown) {
      if (!(thrown instanceof AcmeError)) throw thrown;
    }
    const is = found ? { start: found.start, end: found.end } : before?.is;
    const ms = Math.max(60_000, Math.min(found?.retryAfterMs ?? askWindowMs, 4 * askWindowMs));
    known.window = { of, is, until: now.getTime() + ms };
    return is;
  }

  #sharedOf(account: WantedAccount): Shared {
    const key = JSON.stringify(account);
    const known = this.#accounts.use(key);
    if (known) return known;
    const { directoryUrl, keyPem, email, binding, authorities } = account;
    const options: AccountOptions = {
      directoryUrl,
      // it was read before
      key: accountKeyIn(keyPem) as never,
      ...(email !== undefined && { email }),
      ...(binding && { binding: { keyId: binding.keyId, hmacKey: Buffer.from(binding.hmacKey, "base64url") } }),
      ...(authorities !== undefined && { authorities }),
    };
    const shared = { client: new AcmeClient(options), pacing: new Pacing(this.#options.limits) };
    this.#accounts.set(key, shared);
    return shared;
  }

  #keep(key: string, { wanted }: Known, order: Order): void {
    const known = this.#known.get(key);
    if (known) known.order = { by: digestOf(wanted), is: order };
  }

  #show(key: string, status: CertificateStatus): void {
    const known = this.#known.get(key);
    if (!known) return;
    const isSame = JSON.stringify(known.status) === JSON.stringify(status);
    known.status = status;
    if (!isSame) for (const listener of this.#statusListeners) listener(key);
  }
}

/** The account at the server, which is created where there is none. */
async function accountOf(
  shared: Shared,
  { now, backOff = accountBackOff }: { now: Date; backOff: BackOffLimits | undefined },
  signal: AbortSignal,
): Promise<Pick<CertificateStatus, "accountUri" | "caaIdentity" | "problem">> {
  const { client, failed } = shared;
  if (failed && failed.until > now.getTime()) return { problem: failed.problem };
  try {
    const accountUri = await client.account(signal);
    const [caaIdentity] = (await client.directory(signal)).meta.caaIdentities;
    delete shared.failed;
    return { accountUri, ...(caaIdentity !== undefined && { caaIdentity }) };
  } catch (thrown) {
    if (!(thrown instanceof AcmeError)) throw thrown;
    const reason = ofAccount.includes(thrown.type) ? "AcmeAccountInvalid" : "CertificateOrderFailed";
    const problem = { reason, message: thrown.message } as const;
    const failures = (failed?.failures ?? 0) + 1;
    const waitMs = Math.max(thrown.retryAfterMs ?? 0, backOffMs(failures - 1, backOff));
    shared.failed = { failures, until: now.getTime() + waitMs, problem };
    return { problem };
  }
}

/** As it is remembered, here or beside the certificate, where that was by the same settings. */
function orderOf({ order, wanted }: Known, held: HeldCertificate): Order {
  const by = digestOf(wanted);
  if (order?.by === by) return order.is;
  return resumed(held.order.by === by ? held.order : { memory: nothingRemembered });
}

const digestOf = ({ account, profile, challenge }: WantedCertificate) =>
  createHash("sha256")
    .update(JSON.stringify([account, profile, challenge]))
    .digest("hex")
    .slice(0, 16);

/** Authorities that issue for addresses do so for some days at most, in a profile for that. */
async function profileOf(
  { domain, profile }: WantedCertificate,
  { client }: Shared,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (profile !== undefined || !isAddressLiteral(domain)) return profile;
  const { meta } = await client.directory(signal);
  return shortLived in meta.profiles ? shortLived : undefined;
}

const shortLived = "shortlived";

const accountBackOff = { firstMs: 30_000, mostMs: 3_600_000 };

const fromOf = ({ account, profile }: WantedCertificate) => [account.directoryUrl, profile ?? ""].join(" ").trim();

const leftIn = ({ memory }: Order) =>
  Object.fromEntries(Object.entries(memory.left).map(([name, { says }]) => [name, says]));

/** What is served until there is one of an authority. */
export const signedItself = (each: X509Certificate) => each.subject === each.issuer && each.verify(each.publicKey);

const isFor = (certificate: X509Certificate, name: string) =>
  certificate.checkHost(name, { subject: "never" }) !== undefined || certificate.checkIP(name) !== undefined;
