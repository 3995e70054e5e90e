/**
 * Leader election over a Lease, with the rules of client-go: clocks of other machines are never
 * compared with ours.
 */
import { whenAborted } from "../lib/aborted.ts";
import { deadline } from "../lib/deadline.ts";
import { messageOf } from "../lib/text.ts";
import { wait } from "../lib/wait.ts";
import { type Client, isApiError } from "./client.ts";
import { type Lease, resources } from "./kinds.ts";
import { claimOf, isHeldBy, leaveOf, mayBeTaken, type SeenLease, seenNow } from "./lease-state.ts";
import type { Log } from "./log.ts";

export interface LeaseTimes {
  /** How long others wait for a holder that is not heard of. */
  lastsMs: number;
  /**
   * A holder that can't renew for so long stops to lead. Shorter than `lastsMs`, so that there are
   * never two.
   */
  renewWithinMs: number;
  retryMs: number;
}

export const leaseTimes: LeaseTimes = { lastsMs: 15_000, renewWithinMs: 10_000, retryMs: 2_000 };

export interface LeaseOptions {
  client: Client;
  namespace: string;
  name: string;
  /**
   * Nobody else's, in no other pod either (there, process ids are alike): two with the same would
   * lead both.
   */
  identity: string;
  lead: (signal: AbortSignal) => Promise<void>;
  signal: AbortSignal;
  log: Log;
  times?: LeaseTimes;
  now?: () => Date;
}

/**
 * Waits to become the leader, then runs `lead` and renews. `lead` is told by its signal when
 * leadership is lost or `signal` is aborted, and is waited for; then the lease is given back if it
 * is still ours. Resolves to "stopped", or to "lost" before another may lead (where one took the
 * lease from us, soon after), even while `lead` goes on: then only the end of the process ends it.
 * Rejects with what `lead` throws.
 */
export async function leadWithLease(options: LeaseOptions): Promise<"lost" | "stopped"> {
  return new Candidate(options).run();
}

/**
 * Waiting → Leading when the lease is ours; Leading → Finishing when a stop is asked for (renewed
 * until the work in hand has ended) or → Lost when it can't be renewed in time or somebody else has
 * it; Finishing → Released.
 */
type LeaderState = "Waiting" | "Leading" | "Finishing" | "Lost" | "Released";

class Candidate {
  readonly #options: Required<LeaseOptions>;
  readonly #tryMs: number;
  #state: LeaderState = "Waiting";
  #seen: SeenLease | undefined;
  /** The last write did not end well, so what we know of the lease may be wrong. */
  #mustRead = true;
  /** We have written, or may have: it may be ours though no answer said so. */
  #mayBeOurs = false;
  /**
   * When the write began by which the lease is ours: others count from then, not from the answer.
   */
  #renewedAt = performance.now();

  constructor(options: LeaseOptions) {
    this.#options = { times: leaseTimes, now: () => new Date(), ...options };
    this.#tryMs = Math.ceil(this.#options.times.renewWithinMs / 3);
  }

  async run(): Promise<"lost" | "stopped"> {
    const { name, identity, log } = this.#options;
    if (!(await this.#acquire())) {
      if (this.#mayBeOurs) await this.#release();
      return "stopped";
    }
    this.#state = "Leading";
    log.info({ lease: name, identity }, "leading");
    return this.#lead();
  }

  /** Resolves to false when a stop is asked for before the lease is ours. */
  async #acquire(): Promise<boolean> {
    const { signal, times } = this.#options;
    while (!(await this.#attempt(signal, this.#tryMs))) {
      await wait(times.retryMs * (1 + Math.random() * 0.2), signal);
      if (signal.aborted) return false;
      this.#renewedAt = performance.now();
    }
    return true;
  }

  async #lead(): Promise<"lost" | "stopped"> {
    const { name, lead, signal, log, times } = this.#options;
    const leading = new AbortController();
    const forget = whenAborted(signal, () => {
      if (this.#state === "Leading") this.#state = "Finishing";
      leading.abort(signal.reason);
    });
    const ended = new AbortController();
    try {
      const work = lead(leading.signal).finally(() => ended.abort(new Error("work ended")));
      // It is awaited below, unless it is left behind.
      work.catch(() => {});
      if (!(await this.#renew(ended.signal))) {
        this.#state = "Lost";
        log.error({ lease: name, holder: this.#seen?.lease.spec?.holderIdentity }, "leadership lost");
        leading.abort(new Error("leadership lost"));
        const leftMs = this.#isOurs() ? Math.max(0, times.lastsMs - this.#sinceRenewalMs()) : times.retryMs;
        await wait(leftMs, ended.signal);
      }
      if (this.#state === "Lost" && !ended.signal.aborted)
        log.error({ lease: name }, "work did not stop after leadership was lost");
      else await work;
    } finally {
      forget();
      if (this.#state !== "Lost") await this.#release();
    }
    return this.#state === "Lost" ? "lost" : "stopped";
  }

  /**
   * Also while the work in hand ends after a stop: until then nobody else may begin. Resolves to
   * false when the lease is lost.
   */
  async #renew(ended: AbortSignal): Promise<boolean> {
    const { times } = this.#options;
    for (;;) {
      await wait(times.retryMs, ended);
      if (ended.aborted) return true;
      const leftMs = Math.ceil(times.renewWithinMs - this.#sinceRenewalMs());
      const startedAt = performance.now();
      const renewed = leftMs > 0 && (await this.#attempt(ended, Math.min(leftMs, this.#tryMs)));
      if (renewed) this.#renewedAt = startedAt;
      else if (ended.aborted) return true;
      else if (!this.#isOurs() || this.#sinceRenewalMs() >= times.renewWithinMs) return false;
    }
  }

  /**
   * One try to take or renew, of `ms` at most: a call that hangs must not use up all the time, for
   * another connection may work; and who hears late that the lease is theirs can't know whether it
   * still is. Resolves to whether it is ours.
   */
  async #attempt(outer: AbortSignal, ms: number): Promise<boolean> {
    const { client, namespace, name, identity, log } = this.#options;
    const within = deadline(outer, ms, `lease ${name}`);
    try {
      // Ours, as far as we know: no need to read it first. If somebody else wrote it, the server
      // says so (409), and the next try reads.
      if (this.#seen && this.#isOurs() && !this.#mustRead) return await this.#write(this.#seen.lease, within.signal);
      const found = await client.get(resources.lease, { namespace, name }, within.signal);
      if (!found) return await this.#write(undefined, within.signal);
      this.#observe(found);
      this.#mayBeOurs = isHeldBy(found.spec, identity);
      if (!mayBeTaken(this.#seen, identity, performance.now())) return false;
      return await this.#write(found, within.signal);
    } catch (err) {
      // Someone else was faster.
      if (!isApiError(err, 409) && !outer.aborted)
        log.warn({ lease: name, err: within.reasonOr(err) }, "lease not renewed, retrying");
      return false;
    } finally {
      within.end();
    }
  }

  /** Takes or renews; the resourceVersion of what was seen guards it. */
  async #write(before: Lease | undefined, signal: AbortSignal): Promise<true> {
    const { client, namespace, name, identity, times, now } = this.#options;
    this.#mustRead = true;
    this.#mayBeOurs = true;
    const spec = claimOf(before?.spec, { identity, lastsMs: times.lastsMs, now: now() });
    const metadata = { name, namespace };
    this.#observe(
      before
        ? await client.replace(resources.lease, { ...before, spec }, signal)
        : await client.create(
            resources.lease,
            { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata, spec },
            signal,
          ),
    );
    this.#mustRead = false;
    return true;
  }

  /**
   * So that the next one need not wait. Only a lease that is still ours is touched: the
   * resourceVersion guards it. A renewal that the stop has cut off may have been written, or be
   * written yet: then what we know is old, and the lease is read.
   */
  async #release(): Promise<void> {
    const { client, namespace, name, identity, log, now } = this.#options;
    const until = AbortSignal.timeout(2_000);
    let last = this.#mustRead ? undefined : this.#seen?.lease;
    try {
      for (let tries = 0; tries < 5; tries++) {
        last ??= await client.get(resources.lease, { namespace, name }, until);
        if (!last || !isHeldBy(last.spec, identity)) break;
        try {
          await client.replace(resources.lease, { ...last, spec: leaveOf(last.spec, now()) }, until);
          break;
        } catch (error) {
          if (!isApiError(error, 409)) throw error;
          last = undefined;
        }
      }
      this.#state = "Released";
    } catch (error) {
      log.warn({ lease: name, cause: messageOf(error) }, "lease not released");
    }
  }

  #observe(lease: Lease): void {
    this.#seen = seenNow(this.#seen, lease, performance.now());
  }

  #isOurs(): boolean {
    return isHeldBy(this.#seen?.lease.spec, this.#options.identity);
  }

  #sinceRenewalMs(): number {
    return performance.now() - this.#renewedAt;
  }
}
