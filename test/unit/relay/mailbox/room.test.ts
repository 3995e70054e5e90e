import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import type { LocalAddress } from "../../../../src/relay/domains.ts";
import { mailboxBytes, Room } from "../../../../src/relay/mailbox/room.ts";
import { until } from "../../../helpers/until.ts";
import { limits } from "../settings.ts";

const quotaBytes = 1_000_000;
let now: number;
let trimmed: string[];
let failures: unknown[];
let room: Room;

beforeEach(() => {
  now = 0;
  trimmed = [];
  failures = [];
  room = new Room({
    now: () => now,
    trim: async ({ address }) => void trimmed.push(address),
    onFailure: (thrown) => failures.push(thrown),
  });
});

let made = 0;
/** With so many bytes in its INBOX. */
function account(bytes: number): LocalAddress {
  const home = mkdtempSync(join(tmpdir(), "room-"));
  mkdirSync(join(home, "cur"));
  if (bytes > 0) writeFileSync(join(home, "cur", `1700000000.M1P1.h,S=${bytes},W=${bytes}:2,`), "");
  const local = `a${made++}`;
  return { address: `${local}@b.org`, local, domain: "b.org", limits: limits({ quotaBytes }), home };
}

test("what is not known is measured first", async () => {
  expect(await room.take(account(0), 1)).toBe(true);
  expect(await room.take(account(700_000), 1)).toBe(false);
});

test("a twentieth of the quota is promised at most, until it is measured again", async () => {
  const empty = account(0);
  expect(await room.take(empty, 50_001)).toBe(false);
  expect(await room.take(empty, 30_000)).toBe(true);
  writeFileSync(join(empty.home, "cur", "1700000000.M1P1.h,S=690000"), "");
  expect(await room.take(empty, 20_000)).toBe(true);
  // measured again: 10,000 are left until it would be trimmed
  expect(await room.take(empty, 10_001)).toBe(false);
  expect(await room.take(empty, 10_000)).toBe(true);
});

test("what is promised is never above what a mailbox is trimmed to", async () => {
  expect(await room.take(account(649_000), 1000)).toBe(true);
  const nearly = account(660_000);
  expect(await room.take(nearly, 40_000)).toBe(true);
  expect(await room.take(nearly, 1)).toBe(false);
  expect(trimmed).toEqual([]);
});

test("a mailbox that is nearly full is trimmed, as where Dovecot warns, and promised nothing", async () => {
  const full = account(750_000);
  expect(await room.take(full, 1)).toBe(false);
  await until("the trim", () => trimmed.length === 1);
  expect(trimmed).toEqual([full.address]);
  expect(await room.take(full, 1)).toBe(false);
  expect(trimmed).toHaveLength(1);
});

test("an hour later it is measured again", async () => {
  const grown = account(0);
  expect(await room.take(grown, 1)).toBe(true);
  writeFileSync(join(grown.home, "cur", "1700000000.M1P1.h,S=700000"), "");
  expect(await room.take(grown, 1)).toBe(true);
  now += 3_600_000;
  expect(await room.take(grown, 1)).toBe(false);
});

test("no more than two are measured at once: what comes meanwhile is not waited for", async () => {
  const takes = Array.from({ length: 5 }, () => room.take(account(0), 1));
  expect(await Promise.all(takes)).toEqual([true, true, false, false, false]);
});

test("all folders count, with the size of each message before it was compressed", async () => {
  const { home } = account(1000);
  for (const folder of [".Sent/new", ".Sent/cur", "new", "tmp", "other/cur"])
    mkdirSync(join(home, folder), { recursive: true });
  writeFileSync(join(home, ".Sent/new/1700000000.M1P1.h,S=200"), "x");
  writeFileSync(join(home, "new/1700000000.M2P1.h,S=30,W=31"), "x");
  writeFileSync(join(home, "new/by-somebody-else"), "1234");
  writeFileSync(join(home, "tmp/1700000000.M2P1.h,S=5000"), "x");
  writeFileSync(join(home, "other/cur/1700000000.M2P1.h,S=5000"), "x");
  expect(await mailboxBytes(home)).toBe(1234);
});

test("files beside the folders do not matter, and neither do folders that are missing", async () => {
  const { home } = account(1000);
  writeFileSync(join(home, ".note"), "x");
  expect(await mailboxBytes(home)).toBe(1000);
  expect(await mailboxBytes(join(home, "nowhere"))).toBe(0);
});

test("a failure is told", async () => {
  const onFailure = (thrown: unknown) => void failures.push(thrown);
  room = new Room({ now: () => now, trim: () => Promise.reject(new Error("no")), onFailure });
  expect(await room.take(account(900_000), 1)).toBe(false);
  await until("the failure", () => failures.length === 1);
});
