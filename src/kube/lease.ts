/** Leader election over a Lease, with the rules of client-go: clocks of other machines are never compared with ours. */
import { whenAborted } from "../lib/aborted.ts";
import { deadline } from "../lib/deadline.ts";
import { messageOf } from "../lib/text.ts";
import { wait } from "../lib/wait.ts";
import { type Client, isApiError } from "./client.ts";
import { type Lease, resources } from "./kinds.ts";
import type { Log } from "./log.ts";
import { microTime } from "./object.ts";

export interface LeaseTimes {
  /** How long others wait for a holder that is not heard of. */
  lastsMs: number;
  /** A holder that can't renew for so long stops to lead. Shorter than `lastsMs`, so that there are never two. */
  renewWithinMs: number;
  retryMs: number;
}

export const leaseTimes: LeaseTimes = { lastsMs: 15_000, renewWithinMs: 10_000, retryMs: 2_000 };

type LeaseSpec = NonNullable<Lease["spec"]>;

/**
 * Waits to become the leader, then runs `lead` and renews. `lead` is told by its signal when leadership is lost or `signal` is
 * aborted, and is waited for; then the lease is given back if it is still ours. Resolves to "stopped", or to "lost" before another may
 * lead (where one took the lease from us, soon after), even while `lead` goes on: then only the end of the process ends it. Rejects with
 * what `lead` throws.
 *
 * `identity` is nobody else's, in no other pod either (there, process ids are alike): two with the same would lead both.
 */
export async function leadWithLease(options: {
  client: Client;
  namespace: string;
  name: string;
  identity: string;
  lead: (signal: AbortSignal) => Promise<void>;
  signal: AbortSignal;
  log: Log;
  times?: LeaseTimes;
  now?: () => Date;
}): Promise<"lost" | "stopped"> {
  const { client, namespace, name, identity, lead, signal, log, times = leaseTimes, now = () => new Date() } = options;
  /** The lease as last seen, and when on our own clock it last changed. */
  let seen: { lease: Lease; at: number } | undefined;
  /** The last write did not end well, so what we know of the lease may be wrong. */
  let mustRead = true;
  /** We have written, or may have: it may be ours though no answer said so. */
  let mayBeOurs = false;

  const observe = (lease: Lease) => {
    if (seen && JSON.stringify(seen.lease.spec) === JSON.stringify(lease.spec)) seen.lease = lease;
    else seen = { lease, at: performance.now() };
  };

  /**
   * One try to take or renew, of `ms` at most: a call that hangs must not use up all the time, for another connection may work; and who hears
   * late that the lease is theirs can't know whether it still is. Resolves to whether it is ours.
   */
  const attempt = async (outer: AbortSignal, ms: number): Promise<boolean> => {
    const within = deadline(outer, ms, `lease ${name}`);
    const until = within.signal;
    const mine = (before?: LeaseSpec): LeaseSpec => {
      const held = before?.holderIdentity === identity;
      const time = microTime(now());
      return {
        holderIdentity: identity,
        leaseDurationSeconds: Math.ceil(times.lastsMs / 1_000),
        acquireTime: (held && before?.acquireTime) || time,
        renewTime: time,
        leaseTransitions: (before?.leaseTransitions ?? 0) + (before && !held ? 1 : 0),
      };
    };
    try {
      // Ours, as far as we know: no need to read it first. If somebody else wrote it, the server says so (409), and the next try reads.
      if (seen?.lease.spec?.holderIdentity === identity && !mustRead) {
        mustRead = true;
        mayBeOurs = true;
        observe(await client.replace(resources.lease, { ...seen.lease, spec: mine(seen.lease.spec) }, until));
        mustRead = false;
        return true;
      }
      const found = await client.get(resources.lease, { namespace, name }, until);
      if (!found) {
        const metadata = { name, namespace };
        const lease: Lease = { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata, spec: mine() };
        mayBeOurs = true;
        observe(await client.create(resources.lease, lease, until));
        mustRead = false;
        return true;
      }
      observe(found);
      const holder = found.spec?.holderIdentity;
      const lastsMs = (found.spec?.leaseDurationSeconds ?? 0) * 1_000;
      const mayBeAlive = seen !== undefined && performance.now() - seen.at < lastsMs;
      mayBeOurs = holder === identity;
      if (holder && holder !== identity && mayBeAlive) return false;
      mayBeOurs = true;
      observe(await client.replace(resources.lease, { ...found, spec: mine(found.spec) }, until));
      mustRead = false;
      return true;
    } catch (err) {
      // Someone else was faster.
      if (!isApiError(err, 409) && !outer.aborted)
        log.warn({ lease: name, err: within.reasonOr(err) }, "lease not renewed, trying again");
      return false;
    } finally {
      within.end();
    }
  };
  const tryMs = Math.ceil(times.renewWithinMs / 3);

  /** When the write began by which the lease is ours: others count from then, not from the answer. */
  let renewedAt = performance.now();
  while (!(await attempt(signal, tryMs))) {
    await wait(times.retryMs * (1 + Math.random() * 0.2), signal);
    if (signal.aborted) {
      if (mayBeOurs) await release();
      return "stopped";
    }
    renewedAt = performance.now();
  }
  log.info({ lease: name, identity }, "leading");

  const leading = new AbortController();
  const forget = whenAborted(signal, () => leading.abort(signal.reason));

  let lost = false;
  /** Also while the work in hand ends after a stop: until then nobody else may begin. */
  const ended = new AbortController();
  const renew = async () => {
    while (!ended.signal.aborted) {
      await wait(times.retryMs, ended.signal);
      if (ended.signal.aborted) return;
      const leftMs = Math.ceil(times.renewWithinMs - (performance.now() - renewedAt));
      const startedAt = performance.now();
      if (leftMs > 0 && (await attempt(ended.signal, Math.min(leftMs, tryMs)))) {
        renewedAt = startedAt;
        continue;
      }
      if (ended.signal.aborted) return;
      const holder = seen?.lease.spec?.holderIdentity;
      if (holder === identity && performance.now() - renewedAt < times.renewWithinMs) continue;
      lost = true;
      log.error({ lease: name, holder }, "leadership lost");
      leading.abort(new Error("leadership lost"));
      return;
    }
  };

  try {
    const work = lead(leading.signal).finally(() => ended.abort(new Error("work ended")));
    // It is awaited below, unless it is left behind.
    work.catch(() => {});
    await renew();
    const isTaken = seen?.lease.spec?.holderIdentity !== identity;
    const leftMs = isTaken ? times.retryMs : Math.max(0, times.lastsMs - (performance.now() - renewedAt));
    if (lost) await wait(leftMs, ended.signal);
    if (lost && !ended.signal.aborted)
      log.error({ lease: name }, "work goes on after leadership was lost, left behind");
    else await work;
  } finally {
    forget();
    if (!lost) await release();
  }
  return lost ? "lost" : "stopped";

  /**
   * So that the next one need not wait. Only a lease that is still ours is touched: the resourceVersion guards it. A renewal that the stop
   * has cut off may have been written, or be written yet: then what we know is old, and the lease is read.
   */
  async function release(): Promise<void> {
    const until = AbortSignal.timeout(2_000);
    let last = mustRead ? undefined : seen?.lease;
    try {
      for (let tries = 0; tries < 5; tries++) {
        last ??= await client.get(resources.lease, { namespace, name }, until);
        if (last?.spec?.holderIdentity !== identity) return;
        const spec = { ...last.spec, holderIdentity: "", leaseDurationSeconds: 1, renewTime: microTime(now()) };
        try {
          await client.replace(resources.lease, { ...last, spec }, until);
          return;
        } catch (error) {
          if (!isApiError(error, 409)) throw error;
          last = undefined;
        }
      }
    } catch (error) {
      log.warn({ lease: name, cause: messageOf(error) }, "lease not given back");
    }
  }
}
