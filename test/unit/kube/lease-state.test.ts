/** What a lease says, and when it may be taken. */
import { expect, test } from "vitest";
import { claimOf, type LeaseSpec, leaveOf, mayBeTaken, seenNow } from "../../../src/kube/lease-state.ts";

const lease = (spec: LeaseSpec) => ({
  apiVersion: "coordination.k8s.io/v1",
  kind: "Lease",
  metadata: { name: "operator", namespace: "chatmail" },
  spec,
});
const theirs: LeaseSpec = { holderIdentity: "b", leaseDurationSeconds: 15, leaseTransitions: 2 };

test.each([
  { when: "nothing is known of it", seen: undefined, at: 0, may: true },
  { when: "nobody holds it", seen: seenNow(undefined, lease({ ...theirs, holderIdentity: "" }), 0), at: 1, may: true },
  { when: "it is ours", seen: seenNow(undefined, lease({ ...theirs, holderIdentity: "a" }), 0), at: 1, may: true },
  { when: "its holder was heard of", seen: seenNow(undefined, lease(theirs), 0), at: 14_999, may: false },
  { when: "its holder was not heard of for long", seen: seenNow(undefined, lease(theirs), 0), at: 15_000, may: true },
  {
    when: "it was read again unchanged",
    seen: seenNow(seenNow(undefined, lease(theirs), 0), lease({ ...theirs }), 9_000),
    at: 15_000,
    may: true,
  },
  {
    when: "it was renewed meanwhile",
    seen: seenNow(seenNow(undefined, lease(theirs), 0), lease({ ...theirs, leaseTransitions: 3 }), 9_000),
    at: 15_000,
    may: false,
  },
  {
    when: "it says nothing of how long it lasts",
    seen: seenNow(undefined, lease({ holderIdentity: "b" }), 0),
    at: 0,
    may: true,
  },
])("a lease may be taken: $may, when $when", ({ seen, at, may }) => {
  expect(mayBeTaken(seen, "a", at)).toBe(may);
});

const now = new Date("2026-11-29T12:00:00Z");
const claim = (before: LeaseSpec | undefined) => claimOf(before, { identity: "a", lastsMs: 14_001, now });

test("a new lease is ours from now on", () => {
  expect(claim(undefined)).toEqual({
    holderIdentity: "a",
    leaseDurationSeconds: 15,
    acquireTime: "2026-11-29T12:00:00.000000Z",
    renewTime: "2026-11-29T12:00:00.000000Z",
    leaseTransitions: 0,
  });
});

test("one that is taken over counts a transition; one that is renewed keeps when it was acquired", () => {
  expect(claim(theirs)).toMatchObject({ holderIdentity: "a", leaseTransitions: 3 });
  const acquireTime = "2026-11-01T00:00:00.000000Z";
  expect(claim({ ...theirs, holderIdentity: "a", acquireTime })).toMatchObject({ leaseTransitions: 2, acquireTime });
});

test("one that is given back is nobody's, and lasts for a second", () => {
  expect(leaveOf({ ...theirs, holderIdentity: "a" }, now)).toEqual({
    holderIdentity: "",
    leaseDurationSeconds: 1,
    leaseTransitions: 2,
    renewTime: "2026-11-29T12:00:00.000000Z",
  });
});
