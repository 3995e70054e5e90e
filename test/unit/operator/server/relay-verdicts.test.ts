/** What the status says of a relay's figures: only what passes a threshold, in words that stay. */
import { expect, test } from "vitest";
import { expiryCounts } from "../../../../src/operator/server/expiry-counts.ts";
import type { LivePod } from "../../../../src/operator/server/live.ts";
import { accountsOf } from "../../../../src/operator/server/verdicts/accounts.ts";
import { queueVerdict } from "../../../../src/operator/server/verdicts/queue.ts";
import { sourceIsHidden } from "../../../../src/operator/server/verdicts/source-addresses.ts";
import { volumeIsNearlyFull } from "../../../../src/operator/server/verdicts/volume-room.ts";
import type { ReportedFigures } from "../../../../src/operator/tasks/relay-figures.ts";
import { aServer } from "../../../helpers/a-server.ts";

const seen = (figures: ReportedFigures) => ({ relay: { report: { acceptingAccounts: {}, ...figures } } });
const gib = 2 ** 30;
const volume = (freeGib: number, more = {}) =>
  seen({ storage: { bytes: 10 * gib, freeBytes: freeGib * gib, inodes: 1_000_000, freeInodes: 900_000, ...more } });

const saying = (type: string, reason: string, message = "as it was") => ({
  ...aServer(),
  status: {
    conditions: [{ type, status: "False" as const, reason, message, lastTransitionTime: "2026-11-23T12:00:00Z" }],
  },
});

test("a volume is nearly full from one threshold on until it passes the other", () => {
  const full = saying("StorageReady", "VolumeNearlyFull");
  expect(volumeIsNearlyFull(aServer(), volume(1.7))).toBeUndefined();
  expect(volumeIsNearlyFull(aServer(), volume(1.4))).toMatchObject({
    reason: "VolumeNearlyFull",
    message: expect.stringContaining("1.4 GiB of 10 GiB were free"),
  });
  expect(volumeIsNearlyFull(full, volume(1.7))?.message).toBe("as it was");
  expect(volumeIsNearlyFull(full, volume(0.2))?.message).toBe("as it was");
  expect(volumeIsNearlyFull(full, volume(2.1))).toBeUndefined();
});

test("a volume without inodes says so", () => {
  expect(volumeIsNearlyFull(aServer(), volume(9, { freeInodes: 7 }))?.message).toContain("7 of 1000000 inodes");
});

test("while a pod does not report, a volume that was nearly full still is", () => {
  expect(volumeIsNearlyFull(saying("StorageReady", "VolumeNearlyFull"), {})?.message).toBe("as it was");
  expect(volumeIsNearlyFull(saying("StorageReady", "ResizeRefused"), {})).toBeUndefined();
});

const queue = (oldestMovingSeconds: number, lateDestinations: number) =>
  seen({
    queue: { oldestMovingSeconds, lateDestinations, destinations: [{ domain: "a.test", messages: 12 }] },
  });

test.each([
  { when: "it is empty", relay: queue(0, 0), says: "True QueueMoving" },
  { when: "Postfix holds mail", relay: queue(3_600, 0), says: "False QueueStuck" },
  { when: "mail to many domains waits", relay: queue(0, 9), says: "False QueueStuck" },
  { when: "the pod was not asked", relay: {}, says: "Unknown RelayNotAsked" },
  { when: "its image counts nothing", relay: seen({}), says: "Unknown RelayNotAsked" },
  { when: "it can't be reached", relay: { relay: { unreachable: "ECONNREFUSED" } }, says: "Unknown RelayUnreachable" },
])("QueueHealthy is $says when $when", ({ relay, says }) => {
  const { status, reason } = queueVerdict(aServer(), relay);
  expect(`${status} ${reason}`).toBe(says);
});

test("a stuck queue names where its mail is to go, and stays stuck in the same words", () => {
  expect(queueVerdict(aServer(), queue(0, 9)).message).toContain("a.test (12)");
  expect(queueVerdict(saying("QueueHealthy", "QueueStuck"), queue(0, 30)).message).toBe("as it was");
  expect(queueVerdict(saying("QueueHealthy", "QueueStuck"), queue(0, 4)).reason).toBe("QueueStuck");
  expect(queueVerdict(saying("QueueHealthy", "QueueStuck"), queue(0, 1)).reason).toBe("QueueMoving");
});

const clients = (accounts: number, fromOneAddress: number) =>
  seen({ clients: { ipv4: { accounts, fromOneAddress }, ipv6: { accounts: 0, fromOneAddress: 0 } } });

test("clients that nearly all come from one address are told, in counts alone", () => {
  expect(sourceIsHidden(aServer(), clients(100, 40))).toBeUndefined();
  expect(sourceIsHidden(aServer(), clients(10, 10))).toBeUndefined();
  expect(sourceIsHidden(aServer(), clients(100, 97))).toMatchObject({
    reason: "SourceAddressHidden",
    message: expect.stringMatching(/^97 of the 100 accounts /),
  });
  const hidden = saying("AddressesReady", "SourceAddressHidden");
  expect(sourceIsHidden(hidden, clients(100, 60))?.message).toBe("as it was");
  expect(sourceIsHidden(hidden, clients(100, 20))).toBeUndefined();
});

test("the number of accounts is told when there is another by far", () => {
  const { domain } = aServer().spec;
  const count = (all: number) => seen({ accounts: { [domain]: { all } } });
  const before = { ...aServer(), status: { accounts: 100 } };
  expect(accountsOf(aServer(), {})).toEqual({});
  expect(accountsOf(aServer(), count(0))).toEqual({ accounts: 0 });
  expect(accountsOf(before, {})).toEqual({ accounts: 100 });
  expect(accountsOf(before, count(104))).toEqual({ accounts: 100 });
  expect(accountsOf(before, count(110))).toEqual({ accounts: 110 });
});

const counts = {
  accounts: 312,
  accountsActive: 120,
  accountsRemoved: 3,
  messages: 5_120,
  messagesRemoved: 40,
  bytes: 734_003_200,
  bytesRemoved: 9,
};
const pod = (component: string, terminated: object) =>
  ({
    metadata: { name: "x", labels: { "chatmail.dev/component": component } },
    status: { containerStatuses: [{ name: "expire", state: { terminated } }] },
  }) as unknown as LivePod;
const run = (finishedAt: string, more: object = {}) =>
  pod("expiry", { exitCode: 0, finishedAt, message: JSON.stringify({ ...counts, later: 1 }), ...more });

test.each([
  { when: "one run has ended", pods: [run("2026-11-23T01:00:00Z")], counts },
  { when: "there is none", pods: [], counts: undefined },
  { when: "it has failed", pods: [run("2026-11-23T01:00:00Z", { exitCode: 1 })], counts: undefined },
  {
    when: "its image leaves no message",
    pods: [run("2026-11-23T01:00:00Z", { message: undefined })],
    counts: undefined,
  },
  {
    when: "its message is something else",
    pods: [run("2026-11-23T01:00:00Z", { message: "Killed" })],
    counts: undefined,
  },
  {
    when: "another pod has one",
    pods: [pod("check", { exitCode: 0, message: JSON.stringify(counts) })],
    counts: undefined,
  },
  {
    when: "there are two, the newest counts",
    pods: [
      run("2026-11-23T01:00:00Z", { message: JSON.stringify({ ...counts, accounts: 1 }) }),
      run("2026-11-24T01:00:00Z"),
    ],
    counts,
  },
])("the figures of the last expiry run, when $when", ({ pods, counts: wanted }) => {
  expect(expiryCounts(pods)).toEqual(wanted);
});
