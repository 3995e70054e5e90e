/**
 * What a lease says and what may be done with it, without network. Clocks of other machines are
 * never compared with ours.
 */
import type { Lease } from "./kinds.ts";
import { microTime } from "./object.ts";

export type LeaseSpec = NonNullable<Lease["spec"]>;

/** The lease as last seen, and when on our own clock, in milliseconds, it last changed. */
export interface SeenLease {
  lease: Lease;
  changedAt: number;
}

export function seenNow(before: SeenLease | undefined, lease: Lease, at: number): SeenLease {
  const same = before && JSON.stringify(before.lease.spec) === JSON.stringify(lease.spec);
  return { lease, changedAt: same ? before.changedAt : at };
}

export function isHeldBy(spec: LeaseSpec | undefined, identity: string): boolean {
  return spec?.holderIdentity === identity;
}

/** It is nobody's, ours, or its holder has not been heard of for as long as the lease lasts. */
export function mayBeTaken(seen: SeenLease | undefined, identity: string, at: number): boolean {
  const { holderIdentity, leaseDurationSeconds = 0 } = seen?.lease.spec ?? {};
  if (!seen || !holderIdentity || holderIdentity === identity) return true;
  return at - seen.changedAt >= leaseDurationSeconds * 1_000;
}

/** What we write to take the lease, or to renew it. */
export function claimOf(
  before: LeaseSpec | undefined,
  { identity, lastsMs, now }: { identity: string; lastsMs: number; now: Date },
): LeaseSpec {
  const held = isHeldBy(before, identity);
  const time = microTime(now);
  return {
    holderIdentity: identity,
    leaseDurationSeconds: Math.ceil(lastsMs / 1_000),
    acquireTime: (held && before?.acquireTime) || time,
    renewTime: time,
    leaseTransitions: (before?.leaseTransitions ?? 0) + (before && !held ? 1 : 0),
  };
}

/** What we write to give it back: it lasts for a second, so that the next one need not wait. */
export function leaveOf(spec: LeaseSpec | undefined, now: Date): LeaseSpec {
  return { ...spec, holderIdentity: "", leaseDurationSeconds: 1, renewTime: microTime(now) };
}
