/**
 * Which operator looks after a namespace. Where the scopes of two overlap, both would change every
 * object back to what they think is right, without end; so each namespace with servers has a record
 * of its operator, a Lease. It is no sign of life: it is written a few times an hour. Whether an
 * operator is gone is seen at its own lease, where that may be read.
 *
 * The other operator writes nothing there, no status either, which the first one would write again.
 * It says so in its log, in its metrics and in one event for each server.
 */
import { type Client, isApiError } from "../kube/client.ts";
import type { EventRecorder } from "../kube/events.ts";
import { resources } from "../kube/kinds.ts";
import { claimOf, isHeldBy, leaveOf, mayBeTaken, type SeenLease, seenNow } from "../kube/lease-state.ts";
import type { Log } from "../kube/log.ts";
import type { KubeObject } from "../kube/object.ts";
import { wait } from "../lib/wait.ts";

export const ownerLeaseName = "chatmail-operator-owner";

export interface OwnershipTimes {
  /** How long the record of an operator holds that is not heard of. */
  lastsMs: number;
  renewMs: number;
  /** Between two looks at the record of another. */
  lookMs: number;
  /** An operator that nobody leads for so long is gone: an update of it takes less. */
  leaderlessMs: number;
}

export const ownershipTimes: OwnershipTimes = {
  lastsMs: 60 * 60_000,
  renewMs: 20 * 60_000,
  lookMs: 60_000,
  leaderlessMs: 5 * 60_000,
};

type Known =
  | { is: "ours"; renewAt: number }
  | { is: "theirs"; holder: string; seen: SeenLease; lookAt: number; leader?: SeenLease | undefined };

export interface OwnershipOptions {
  client: Client;
  /** "namespace/name" of the lease by which the replicas of this operator elect their leader. */
  identity: string;
  events: EventRecorder;
  log: Log;
  /** Namespaces that have servers or fleets. */
  namespaces: () => ReadonlySet<string>;
  times?: OwnershipTimes | undefined;
  now?: () => Date;
}

export class Ownership {
  readonly #options: Required<Omit<OwnershipOptions, "times">> & { times: OwnershipTimes };
  readonly #known = new Map<string, Known>();
  readonly #looking = new Map<string, Promise<Known>>();
  /** By uid of a server, the operator that its event named. */
  readonly #told = new Map<string, string>();

  constructor(options: OwnershipOptions) {
    const { times = ownershipTimes, ...rest } = options;
    this.#options = { now: () => new Date(), ...rest, times };
  }

  /** The operator that looks after this namespace; undefined where that is this one. */
  async otherIn(namespace: string, signal: AbortSignal): Promise<string | undefined> {
    const known = this.#known.get(namespace);
    const isKnown = known && (known.is === "ours" || performance.now() < known.lookAt);
    const now = isKnown ? known : await this.#lookOnce(namespace, signal);
    return now.is === "theirs" ? now.holder : undefined;
  }

  /** Told once at each server. Returns when to look again, in milliseconds. */
  leaveTo(holder: string, server: KubeObject): number {
    const { uid = "", namespace } = server.metadata;
    if (this.#told.get(uid) !== holder) {
      this.#told.set(uid, holder);
      const note = `operator ${this.#options.identity} does nothing here: operator ${holder} looks after namespace ${namespace} (Lease ${ownerLeaseName}). Let each watch namespaces of its own`;
      this.#options.events.note(server, { type: "Warning", reason: "OtherOperator", note });
    }
    return this.#options.times.lookMs * (1 + Math.random());
  }

  forget({ metadata: { uid = "" } }: KubeObject): void {
    this.#told.delete(uid);
  }

  /** Namespaces with servers that another operator looks after. */
  get others(): readonly { namespace: string; holder: string }[] {
    return [...this.#known].flatMap(([namespace, known]) =>
      known.is === "theirs" ? [{ namespace, holder: known.holder }] : [],
    );
  }

  /** Renews what is ours until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { times, log } = this.#options;
    while (!signal.aborted) {
      await wait(Math.min(times.lookMs, times.renewMs / 2), signal);
      if (signal.aborted) return;
      const inUse = this.#options.namespaces();
      for (const [namespace, known] of [...this.#known]) {
        if (!inUse.has(namespace)) this.#known.delete(namespace);
        else if (known.is === "ours" && performance.now() >= known.renewAt)
          await this.#lookOnce(namespace, signal).catch((err: unknown) =>
            log.warn({ namespace, err }, "owner of the namespace not renewed, retrying"),
          );
      }
    }
  }

  /** Gives them back, as an operator does that is removed. */
  async leaveAll(namespaces: Iterable<string>, signal: AbortSignal): Promise<void> {
    const { client, identity, now } = this.#options;
    for (const namespace of namespaces) {
      const found = await client.get(resources.lease, { namespace, name: ownerLeaseName }, signal);
      if (found && isHeldBy(found.spec, identity))
        await client.replace(resources.lease, { ...found, spec: leaveOf(found.spec, now()) }, signal);
    }
  }

  /** One at a time for each namespace. */
  #lookOnce(namespace: string, signal: AbortSignal): Promise<Known> {
    const under = this.#looking.get(namespace);
    if (under) return under;
    const looking = this.#look(namespace, signal)
      .then((known) => {
        this.#report(namespace, known);
        this.#known.set(namespace, known);
        return known;
      })
      .finally(() => this.#looking.delete(namespace));
    this.#looking.set(namespace, looking);
    return looking;
  }

  async #look(namespace: string, signal: AbortSignal): Promise<Known> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#readOrTake(namespace, signal);
      } catch (error) {
        // Without the right, or where the namespace ends, nobody can be asked: the work goes on.
        if (isApiError(error, 403)) return this.#unrecorded(namespace, error);
        // Somebody else was faster.
        if (!isApiError(error, 409) || tries >= 5) throw error;
      }
    }
  }

  async #readOrTake(namespace: string, signal: AbortSignal): Promise<Known> {
    const { client, identity, times, now } = this.#options;
    const before = this.#known.get(namespace);
    const last = before?.is === "theirs" ? before : undefined;
    const found = await client.get(resources.lease, { namespace, name: ownerLeaseName }, signal);
    const seen = found && seenNow(last?.seen, found, performance.now());
    if (seen && !mayBeTaken(seen, identity, performance.now())) {
      const holder = seen.lease.spec?.holderIdentity ?? "";
      const leader = await this.#leaderOf(holder, last?.holder === holder ? last.leader : undefined, signal);
      if (leader !== "gone") return { is: "theirs", holder, seen, leader, lookAt: inMs(times.lookMs) };
    }
    const spec = claimOf(found?.spec, { identity, lastsMs: times.lastsMs, now: now() });
    const metadata = { name: ownerLeaseName, namespace };
    if (found) await client.replace(resources.lease, { ...found, spec }, signal);
    else
      await client.create(
        resources.lease,
        { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata, spec },
        signal,
      );
    return { is: "ours", renewAt: inMs(times.renewMs) };
  }

  #unrecorded(namespace: string, err: unknown): Known {
    if (this.#known.get(namespace)?.is !== "ours")
      this.#options.log.warn({ namespace, err }, "owner of the namespace not recorded, going on without");
    return { is: "ours", renewAt: inMs(this.#options.times.renewMs) };
  }

  /**
   * "gone": nobody has led that operator for long. Undefined where its lease may not be read or is
   * not there: one that works alone has none.
   */
  async #leaderOf(
    holder: string,
    last: SeenLease | undefined,
    signal: AbortSignal,
  ): Promise<SeenLease | "gone" | undefined> {
    const [namespace = "", name = ""] = holder.split("/");
    if (namespace === "" || name === "") return undefined;
    try {
      const found = await this.#options.client.get(resources.lease, { namespace, name }, signal);
      if (!found) return undefined;
      const seen = seenNow(last, found, performance.now());
      const leaderless = performance.now() - seen.changedAt >= this.#options.times.leaderlessMs;
      return leaderless ? "gone" : seen;
    } catch (error) {
      if (isApiError(error, 403)) return undefined;
      throw error;
    }
  }

  #report(namespace: string, now: Known): void {
    const { log } = this.#options;
    const before = this.#known.get(namespace);
    const wasTheirs = before?.is === "theirs";
    if (now.is === "theirs" && (!wasTheirs || before.holder !== now.holder))
      log.warn({ namespace, holder: now.holder }, "another operator looks after the namespace");
    if (now.is === "ours" && wasTheirs) log.info({ namespace, before: before.holder }, "namespace taken over");
  }
}

const inMs = (fromNowMs: number) => performance.now() + fromNowMs;
