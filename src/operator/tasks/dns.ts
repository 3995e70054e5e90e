/**
 * Background task: publishes the records of domains where the spec says so, and verifies them at
 * every name server. Often while something is missing, every few hours when all is right. A result
 * that differs from the one before it triggers a reconcile.
 */
import { randomInt } from "node:crypto";
import { Failure } from "../../api/failure.ts";
import { publish, type Rfc2136Options } from "../../dns/providers/rfc2136.ts";
import type { NotOurs } from "../../dns/publication.ts";
import type { RecordSet } from "../../dns/records.ts";
import { type Verification, Verifier, type VerifyFacts } from "../../dns/verify.ts";
import { Zones } from "../../dns/zone.ts";
import { type Run, runController } from "../../kube/controller.ts";
import type { Log } from "../../kube/log.ts";
import type { Source } from "../../kube/source.ts";
import type { Metrics } from "../../lib/metrics.ts";
import type { Problem } from "../problem.ts";
import { type RemovalStatus, removeRecords, type WantedRemoval } from "./dns-removal.ts";
import { keyedSource } from "./keyed-source.ts";

/** Where and how the records are published; `records`: what of them. */
export interface WantedUpdate extends Omit<Rfc2136Options, "random" | "now" | "signal"> {
  records: readonly RecordSet[];
}

/** What a domain needs. */
export interface WantedNames extends VerifyFacts {
  /** Another value has them verified again. */
  asOf?: string | undefined;
  update?: WantedUpdate | undefined;
}

/** What is known of a domain's records. */
export interface NamesStatus {
  /** `unknown`: why nothing can be said. */
  verification: Verification | { unknown: string };
  notOurs: readonly NotOurs[];
  /** Why they could not be published the last time. */
  problem?: Problem | undefined;
  /** What was wanted then; another object where that has changed since. */
  of: WantedNames;
}

interface Known {
  wanted: WantedNames;
  text: string;
  status?: NamesStatus;
  /** What was last published, as text. */
  published?: string;
  /** Looks in a row that found something missing and nothing new. */
  same: number;
}

interface Removing {
  wanted: WantedRemoval;
  text: string;
  status?: RemovalStatus;
  /** When it was asked for, in milliseconds. */
  since: number;
}

const removalAgainMs = { soonest: 1_000, latest: 30_000 };
/** Of one that nobody waits for. */
const detachedWithinMs = 300_000;

const latestMs = 300_000;
const restMs = 3 * 3_600_000;
const workers = 8;

export class DomainNames {
  readonly #verifier: Verifier;
  readonly #now: () => Date;
  readonly #soonestMs: number;
  readonly #known = new Map<string, Known>();
  readonly #removals = new Map<string, Removing>();
  readonly #wantedListeners = new Set<(key: string) => void>();
  readonly #statusListeners = new Set<(key: string) => void>();

  /**
   * `resolvers`: as `getServers()` of node:dns gives them. `port`: of name servers. `soonestMs`:
   * from one look to the next, as long as something changes.
   */
  constructor(options: { resolvers: readonly string[]; now: () => Date; port?: number; soonestMs?: number }) {
    const { now, soonestMs = 5_000 } = options;
    const zones = new Zones({ ...options, random: (below) => randomInt(below), timeoutMs: 2_000, tries: 2 });
    this.#now = now;
    this.#soonestMs = soonestMs;
    this.#verifier = new Verifier(zones, { now });
  }

  /** Undefined until the records have been verified as they are wanted now. */
  of(key: string): NamesStatus | undefined {
    return this.#known.get(key)?.status;
  }

  /** Undefined: nobody wants to know any more. */
  want(key: string, wanted: WantedNames | undefined): void {
    if (wanted || !this.#removals.get(key)?.wanted.detached) this.#removals.delete(key);
    if (!wanted) {
      this.#known.delete(key);
      return;
    }
    const text = JSON.stringify(wanted);
    const known = this.#known.get(key);
    if (known?.text === text) return;
    const { status, published } = known ?? {};
    const isSameDomain = status?.of.domain === wanted.domain;
    this.#known.set(key, { wanted, text, same: 0, ...(isSameDomain && { status }), ...(published && { published }) });
    for (const listener of this.#wantedListeners) listener(key);
  }

  /**
   * From now on nothing is published or verified: what is ours is taken away. What is under way
   * ends before.
   */
  remove(key: string, wanted: WantedRemoval): void {
    this.#known.delete(key);
    const text = JSON.stringify(wanted);
    if (this.#removals.get(key)?.text === text) return;
    this.#removals.set(key, { wanted, text, since: this.#now().getTime() });
    for (const listener of this.#wantedListeners) listener(key);
  }

  /** What was asked for last, and what has become of it. */
  removalOf(key: string): { part: WantedRemoval["part"]; status: RemovalStatus | undefined } | undefined {
    const removing = this.#removals.get(key);
    return removing && { part: removing.wanted.part, status: removing.status };
  }

  /** Changes of what is known, as work of the servers by their keys. */
  source(): Source {
    return keyedSource(this.#statusListeners);
  }

  /** Resolves when the signal is aborted; questions in flight are given up. */
  run(options: { signal: AbortSignal; log: Log; metrics?: Metrics }): Promise<void> {
    return runController({
      ...options,
      name: "dns",
      workers,
      sources: [keyedSource(this.#wantedListeners, () => [...this.#known.keys(), ...this.#removals.keys()])],
      reconcile: async (key, run) => ({ againMs: (await this.#remove(key, run)) ?? (await this.#look(key, run)) }),
    });
  }

  /** Returns when to try again, in milliseconds; undefined where nothing is to be removed. */
  async #remove(key: string, { signal, log }: Run): Promise<number | undefined> {
    const removing = this.#removals.get(key);
    if (!removing || removing.status?.is === "done") return undefined;
    const { wanted, status: before, since } = removing;
    const { domain, detached } = wanted;
    const ends = () => {
      if (detached) this.#removals.delete(key);
      return undefined;
    };
    // somebody has made the server again, under another name
    if (detached && [...this.#known.values()].some((each) => each.wanted.update?.domain === domain)) return ends();
    const tries = before?.is === "failed" ? before.tries : 0;
    const random = (below: number) => randomInt(below);
    const status = await removeRecords(wanted, { random, now: this.#now, signal, tries });
    if (this.#removals.get(key) !== removing) return undefined;
    this.#removals.set(key, { ...removing, status });
    for (const listener of this.#statusListeners) listener(key);
    if (status.is === "done") {
      log.info({ domain, part: wanted.part }, "DNS records removed");
      return ends();
    }
    log.warn({ domain, ...status.problem }, "DNS records not removed, retrying");
    if (detached && this.#now().getTime() - since >= detachedWithinMs) {
      log.warn({ domain }, "DNS records are left in the zone");
      return ends();
    }
    return Math.min(removalAgainMs.latest, removalAgainMs.soonest * 2 ** tries);
  }

  /** Returns when to look again, in milliseconds. */
  async #look(key: string, { signal, log }: Run): Promise<number | undefined> {
    const known = this.#known.get(key);
    if (!known) return undefined;
    const { wanted, status: before } = known;
    let verification = await this.#verifier.verify(wanted);
    let published = known.published;
    let notOurs = before?.notOurs ?? [];
    let problem: Problem | undefined;
    const { update } = wanted;
    const text = update && JSON.stringify(update);
    if (update && (published !== text || !isAllPublished(verification, update.records)) && !signal.aborted) {
      try {
        const result = await publish(update.records, {
          ...update,
          random: (below) => randomInt(below),
          now: this.#now,
          signal,
        });
        published = text;
        notOurs = result.notOurs;
        if (result.changed > 0) {
          const { zone, server, changed } = result;
          log.info({ zone, server, changed }, "DNS records updated");
          verification = await this.#verifier.verify(wanted);
        }
      } catch (thrown) {
        if (signal.aborted) return undefined;
        if (!(thrown instanceof Failure)) throw thrown;
        problem = { reason: thrown.reason, message: thrown.message };
        log.warn(problem, "DNS records not updated, retrying");
      }
    }
    if (signal.aborted || this.#known.get(key)?.wanted !== wanted) return undefined;
    const status: NamesStatus = { verification, notOurs, problem, of: wanted };
    const isSame = before?.of === wanted && outline(before) === outline(status);
    const same = isSame ? known.same + 1 : 0;
    this.#known.set(key, { ...known, status: isSame ? before : status, same, ...(published && { published }) });
    if (!isSame) for (const listener of this.#statusListeners) listener(key);
    // a name server that does not answer now may have something else when it does again
    const isWhole = "faults" in verification && verification.faults.length === 0;
    const isRight =
      !problem && notOurs.length === 0 && isWhole && isSound(verification) && isAllPublished(verification, wanted.sets);
    const ms = isRight ? restMs : Math.min(latestMs, this.#soonestMs * 1.5 ** same);
    return ms * (0.75 + Math.random() * 0.5);
  }
}

const outline = ({ verification, notOurs, problem }: NamesStatus) => JSON.stringify([verification, notOurs, problem]);

/** Neither signed wrongly, nor closed to the authority of the certificate. */
const isSound = (verification: NamesStatus["verification"]) =>
  "dnssec" in verification && verification.dnssec !== "Bogus" && verification.issuerProblem === undefined;

/** Each of these, and at no name server anything else. */
function isAllPublished(verification: NamesStatus["verification"], sets: readonly RecordSet[]): boolean {
  if ("unknown" in verification) return false;
  const states = new Map(verification.records.map(({ name, type, state }) => [`${name} ${type}`, state]));
  return sets.every(({ name, type, values }) => {
    const state = states.get(`${name} ${type}`);
    return state === "Published" || (state === undefined && values.length === 0);
  });
}
