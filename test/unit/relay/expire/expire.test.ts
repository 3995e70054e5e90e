import { existsSync, mkdirSync, readdirSync, statSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { localAddress } from "../../../../src/relay/domains.ts";
import { isExpired, isOlder, namesToTrim, parseMaildirName } from "../../../../src/relay/expire/policy.ts";
import { trimMailbox } from "../../../../src/relay/expire/trim.ts";
import { expireDomain, noCounts } from "../../../../src/relay/expire/walk.ts";
import { limits, settings } from "../settings.ts";

const dayMs = 86_400_000;
const nowMs = Date.parse("2026-11-23T12:00:00Z");
const daysAgo = (days: number) => nowMs - days * dayMs;

test.each([
  [20, false],
  [20 + 1 / dayMs, true],
  [19.9, false],
])("%d days ago is older than 20 days: %s", (days, expected) =>
  expect(isOlder(daysAgo(days), 20, nowMs)).toBe(expected),
);

test.each([
  ["1795391078.M123P1.host,S=1234,W=1260:2,S", { deliveredMs: 1_795_391_078_000, bytes: 1234 }],
  ["1795391078.M123P1.host,S=1234:2,", { deliveredMs: 1_795_391_078_000, bytes: 1234 }],
  ["1795391078.M123P1.host,S=1234", { deliveredMs: 1_795_391_078_000, bytes: 1234 }],
  ["1795391078.M123P1.host,W=1:2,S", undefined],
  ["1795391078.M123P1.host,S=x", undefined],
  ["notes.txt,S=1", undefined],
])("the name %s", (name, expected) => expect(parseMaildirName(name)).toEqual(expected));

const message = { name: "m", folder: "cur", mtimeMs: daysAgo(8), bytes: 200_001 } as const;
test.each([
  ["large, seen, 8 days", {}, true],
  ["large, seen, 7 days to the millisecond", { mtimeMs: daysAgo(7) }, false],
  ["large, unseen", { folder: "new" as const }, false],
  ["just not large", { bytes: 200_000 }, false],
  ["small, 20 days", { bytes: 1, mtimeMs: daysAgo(20) }, false],
  ["small, older", { bytes: 1, mtimeMs: daysAgo(20) - 1 }, true],
  ["unseen, older", { folder: "new" as const, mtimeMs: daysAgo(20) - 1 }, true],
  ["never finished, older", { folder: "tmp" as const, mtimeMs: daysAgo(20) - 1 }, true],
])("%s: goes %s", (_, over, expected) => expect(isExpired({ ...message, ...over }, limits(), nowMs)).toBe(expected));

describe("trimming", () => {
  const mail = (days: number, bytes: number) => ({ name: `${Math.floor(daysAgo(days) / 1000)}.M1.h,S=${bytes}:2,` });
  test.each([
    { when: "it fits", mails: [mail(3, 40), mail(2, 60)], target: 100, gone: [] },
    { when: "one is too much", mails: [mail(2, 60), mail(3, 41)], target: 100, gone: [1] },
    { when: "several", mails: [mail(2, 60), mail(3, 41), mail(4, 5), mail(5, 5)], target: 60, gone: [3, 2, 1] },
    { when: "the rest is of today", mails: [mail(0.5, 90), mail(3, 41)], target: 50, gone: [1] },
    { when: "all is of today", mails: [mail(0.5, 90), mail(0.9, 41)], target: 50, gone: [] },
    { when: "one is a day old to the second", mails: [mail(1, 90), mail(0.9, 41)], target: 50, gone: [0] },
    {
      when: "a young one is in between, by the time in its name",
      mails: [mail(0.5, 90), mail(3, 41), mail(2, 1)],
      target: 1,
      gone: [1, 2],
    },
    { when: "other files are there", mails: [{ name: "x,S=1000" }, mail(3, 50)], target: 60, gone: [] },
  ])("$when", ({ mails, target, gone }) =>
    expect(namesToTrim(mails, target, nowMs)).toEqual(gone.map((index) => mails[index])),
  );
});

describe("a run", () => {
  let config: ReturnType<typeof settings>;
  let folder: string;
  let serial = 0;

  beforeEach(() => {
    config = settings({ domains: { "chat.example": limits({ quotaBytes: 1_000_000 }) } });
    folder = join(config.mailFolder, "chat.example");
    mkdirSync(folder);
  });

  const put = (path: string, days: number, text = "x") => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
    utimesSync(join(folder, path), daysAgo(days) / 1000, daysAgo(days) / 1000);
  };
  const mail = (account: string, where: string, days: number, bytes = 100) => {
    const path = `${account}/${where}/${Math.floor(daysAgo(days) / 1000)}.M${serial++}P1.host,S=${bytes}:2,`;
    put(path, days);
    return path;
  };
  const run = (dryRun = false) => {
    const counts = noCounts();
    expireDomain("chat.example", limits({ quotaBytes: 1_000_000 }), { config, nowMs, dryRun }, counts);
    return counts;
  };
  const isThere = (path: string) => existsSync(join(folder, path));

  test("deletes what is old in every folder, and keeps the rest", () => {
    put("alice1234@chat.example/password", 1);
    put("alice1234@chat.example/maildirsize", 1);
    put("alice1234@chat.example/dovecot.index", 99);
    const old = ["cur", "new", "tmp", ".Sent/cur", ".Sent/new"].map((each) => mail("alice1234@chat.example", each, 21));
    old.push(mail("alice1234@chat.example", "cur", 8, 300_000));
    const young = ["cur", "new", ".Sent/cur"].map((each) => mail("alice1234@chat.example", each, 19));
    young.push(mail("alice1234@chat.example", "new", 8, 300_000));
    const before = [...old, ...young, "alice1234@chat.example/maildirsize"];

    expect(run(true)).toMatchObject({
      accounts: 1,
      messages: 10,
      messagesRemoved: 6,
      bytesRemoved: 300_500,
      failures: 0,
    });
    expect(before.every(isThere)).toBe(true);
    expect(run()).toMatchObject({ messages: 10, messagesRemoved: 6 });
    expect(old.filter(isThere)).toEqual([]);
    expect(young.filter((each) => !isThere(each))).toEqual([]);
    expect(isThere("alice1234@chat.example/maildirsize")).toBe(false);
    expect(isThere("alice1234@chat.example/dovecot.index")).toBe(true);
    expect(run()).toMatchObject({ messages: 4, messagesRemoved: 0 });
  });

  test("notes of an import stay no longer than mail", () => {
    const [alice, bob] = ["alice1234@chat.example", "bob123456@chat.example"];
    for (const [account, days] of [
      [alice, 21],
      [bob, 19],
    ] as const) {
      put(`${account}/password`, 1);
      put(`${account}/imported.json`, days);
    }
    run(true);
    expect(isThere(`${alice}/imported.json`)).toBe(true);
    run();
    expect([alice, bob].map((each) => isThere(`${each}/imported.json`))).toEqual([false, true]);
  });

  test("trims the INBOX to 70 % of the quota, other folders not", () => {
    put("alice1234@chat.example/password", 1);
    const inbox = [5, 4, 3, 2].map((days) => mail("alice1234@chat.example", "cur", days, 199_000));
    const sent = mail("alice1234@chat.example", ".Sent/cur", 6, 900_000);
    const unfinished = mail("alice1234@chat.example", "tmp", 6, 900_000);
    expect(run()).toMatchObject({ messagesRemoved: 1 });
    expect(inbox.map(isThere)).toEqual([false, true, true, true]);
    expect([sent, unfinished].map(isThere)).toEqual([true, true]);
  });

  test("removes an account that nobody uses any more, its password last", () => {
    put("alice1234@chat.example/password", 91);
    mail("alice1234@chat.example", "cur", 1);
    put("bob123456@chat.example/password", 90);
    expect(run(true)).toMatchObject({ accounts: 2, accountsRemoved: 1 });
    expect(run()).toMatchObject({ accounts: 2, accountsRemoved: 1 });
    expect(readdirSync(folder)).toEqual(["bob123456@chat.example"]);
  });

  test("leaves alone what is no account: other names, links, files, mail without password", () => {
    put("lost+found/cur/1.M1.h,S=1:2,", 99);
    put("pending_notifications/0123", 99);
    put("Upper@chat.example/password", 999);
    put("bob@other.example/password", 999);
    put("note@chat.example", 999);
    put("blocked12@chat.example/cur/1.M1.h,S=1:2,", 99);
    mkdirSync(join(config.mailFolder, "elsewhere"));
    put("../elsewhere/password", 999);
    symlinkSync("../elsewhere", join(folder, "linked123@chat.example"));
    const before = readdirSync(folder, { recursive: true, encoding: "utf8" }).sort();
    expect(run()).toMatchObject({
      accounts: 1,
      accountsSkipped: 1,
      accountsRemoved: 0,
      messagesRemoved: 0,
      failures: 0,
    });
    expect(readdirSync(folder, { recursive: true, encoding: "utf8" }).sort()).toEqual(before);
    expect(existsSync(join(config.mailFolder, "elsewhere", "password"))).toBe(true);
  });

  test("clears away what a creation that was cut short left, a day later", () => {
    for (const [name, days] of [
      ["old123456", 2],
      ["new123456", 0.5],
    ] as const) {
      put(`${name}@chat.example/enforceE2EEincoming`, days);
      utimesSync(join(folder, `${name}@chat.example`), daysAgo(days) / 1000, daysAgo(days) / 1000);
    }
    run();
    expect(readdirSync(folder)).toEqual(["new123456@chat.example"]);
  });

  test("a domain without a folder has nothing to delete", () => {
    const counts = noCounts();
    expireDomain("none.example", limits(), { config, nowMs, dryRun: false }, counts);
    expect(counts).toEqual(noCounts());
  });

  test("the quota warning trims while Dovecot runs", async () => {
    put("alice1234@chat.example/password", 1);
    put("alice1234@chat.example/maildirsize", 1);
    const inbox = [5, 4, 3, 2].map((days, at) => mail("alice1234@chat.example", at % 2 ? "new" : "cur", days, 300_000));
    const account = localAddress(config, "alice1234@chat.example");
    if (!account) throw new Error("no account");
    expect(await trimMailbox(account, nowMs)).toBe(2);
    expect(inbox.map(isThere)).toEqual([false, false, true, true]);
    expect(isThere("alice1234@chat.example/maildirsize")).toBe(false);
    expect(statSync(join(folder, "alice1234@chat.example/password")).size).toBe(1);
    expect(await trimMailbox({ ...account, home: "/nowhere" }, nowMs)).toBe(0);
  });
});
