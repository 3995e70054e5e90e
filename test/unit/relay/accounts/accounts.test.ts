import { mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { Accounts } from "../../../../src/relay/accounts/accounts.ts";
import { HashPool } from "../../../../src/relay/accounts/hash-pool.ts";
import { creationRefusal, type Resources, resourceShortage } from "../../../../src/relay/accounts/policy.ts";
import { localAddress, localRecipient } from "../../../../src/relay/domains.ts";
import { Metrics } from "../../../../src/relay/metrics.ts";
import { collectingLog, limits, settings } from "../settings.ts";

const day = 86_400_000;
const address = "abcdefghi@chat.example";
const password = "correct horse";
const plenty: Resources = {
  loadPerCore: 0.1,
  availableMemoryBytes: 2 ** 32,
  memoryLimitBytes: undefined,
  freeDiskBytes: 2 ** 40,
  diskBytes: 2 ** 41,
};

const pool = new HashPool({
  workerFile: new URL("../../../../src/relay/accounts/hash-worker.ts", import.meta.url),
  threads: 2,
});
afterAll(() => pool.close());

let config: ReturnType<typeof settings>;
let resources: Resources;
let jobs: string[];
let log: ReturnType<typeof collectingLog>;
let metrics: Metrics;
let now: number;
let accounts: Accounts;
let home: string;

function newAccounts() {
  return new Accounts({
    config,
    log: log.log,
    metrics,
    now: () => now,
    hash: (job) => {
      jobs.push(job.kind);
      return pool.run(job);
    },
    hashesAtOnce: 2,
    resources: async () => resources,
  });
}

beforeEach(() => {
  config = settings({
    domains: {
      "chat.example": limits(),
      "1.2.3.4": limits(),
      "2001:db8::9": limits(),
      "closed.example": limits({ registration: "Closed" }),
    },
  });
  resources = plenty;
  jobs = [];
  log = collectingLog();
  metrics = new Metrics();
  now = 1_000 * day + 5_000;
  accounts = newAccounts();
  home = join(config.mailFolder, "chat.example", address);
});

describe("the first login", () => {
  test("makes the account: hash, flag, day of login, and a log line without the address", async () => {
    expect((await accounts.login("AbcDefGhi@Chat.Example", password)).kind).toBe("ok");
    expect(readdirSync(home).sort()).toEqual(["enforceE2EEincoming", "password"]);
    expect(readFileSync(join(home, "password"), "utf8")).toMatch(
      /^\{SHA512-CRYPT\}\$6\$[./0-9A-Za-z]{16}\$[./0-9A-Za-z]{86}$/,
    );
    expect(statSync(join(home, "password")).mtimeMs).toBe(1_000 * day);
    expect(statSync(join(home, "password")).mode & 0o777).toBe(0o600);
    expect(log.lines.join("")).toContain("created address");
    expect(log.lines.join("")).not.toContain("abcdefghi");
  });

  test("many at once with one password: one account, all are let in", async () => {
    const logins = await Promise.all(Array.from({ length: 30 }, () => accounts.login(address, password)));
    expect(new Set(logins.map((each) => each.kind))).toEqual(new Set(["ok"]));
    expect(jobs).toEqual(["hash"]);
    expect(readdirSync(home).sort()).toEqual(["enforceE2EEincoming", "password"]);
  });

  test("two at once with different passwords: one of them has it", async () => {
    const logins = await Promise.all([accounts.login(address, password), accounts.login(address, `${password}!`)]);
    expect(logins.map((each) => each.kind).sort()).toEqual(["ok", "wrongPassword"]);
  });

  test("in two processes at once: both see the same account", async () => {
    const other = newAccounts();
    const logins = await Promise.all([accounts.login(address, password), other.login(address, password)]);
    expect(logins.map((each) => each.kind)).toEqual(["ok", "ok"]);
  });

  test.each([
    ["short password", address, "12345678"],
    ["short password of wide characters", address, "ääääääää"],
    ["long password", address, "x".repeat(129)],
    ["NUL in the password", address, "12345\x006789"],
    ["short user name", "abcdefgh@chat.example", password],
    ["long user name", "abcdefghij@chat.example", password],
    ["other letters", "abcdefgh!@chat.example", password],
    ["path", "../../abc@chat.example", password],
    ["slash", "abc/defgh@chat.example", password],
    ["two @", "abcd@fghi@chat.example", password],
    ["no @", "abcdefghi", password],
    ["no user", "@chat.example", password],
    ["other domain", "abcdefghi@elsewhere.example", password],
    ["a word of JavaScript as domain", "abcdefghi@constructor", password],
    ["an IP address without brackets", "abcdefghi@1.2.3.4", password],
    ["an IPv6 address without brackets", "abcdefghi@2001:db8::9", password],
    ["an IPv6 address without its tag", "abcdefghi@[2001:db8::9]", password],
    ["another spelling of the IPv6 address", "abcdefghi@[ipv6:2001:db8:0::9]", password],
    ["brackets around a name", "abcdefghi@[chat.example]", password],
    ["NUL in the address", "abcdefgh\0@chat.example", password],
    ["line end in the address", "abcdefgh\n@chat.example", password],
    ["nothing", "", ""],
  ])("%s: no account", async (_, user, secret) => {
    expect((await accounts.login(user, secret)).kind).toBe("unknown");
    expect(readdirSync(config.mailFolder)).toEqual([]);
    expect(jobs).toEqual([]);
  });

  test("an address literal lives in its domain's folder", async () => {
    expect((await accounts.login("abcdefghi@[1.2.3.4]", password)).kind).toBe("ok");
    expect(readdirSync(join(config.mailFolder, "1.2.3.4"))).toEqual(["abcdefghi@[1.2.3.4]"]);
  });

  test("so does one of IPv6, whose tag clients write in lower case", async () => {
    for (const tag of ["ipv6", "IPv6"])
      expect((await accounts.login(`abcdefghi@[${tag}:2001:db8::9]`, password)).kind).toBe("ok");
    expect(readdirSync(join(config.mailFolder, "2001:db8::9"))).toEqual(["abcdefghi@[ipv6:2001:db8::9]"]);
  });

  test.each(["a.b_c-d.9", "123456789", "-._-._-._"])("the name %s", async (local) => {
    expect((await accounts.login(`${local}@chat.example`, password)).kind).toBe("ok");
  });

  test("is counted, apart for the names of test runs", async () => {
    await accounts.login(address, password);
    await accounts.login("ci-abcdef@chat.example", password);
    await accounts.login("short@chat.example", password);
    const text = metrics.text();
    expect(text).toContain("\ncreated_accounts 2\n");
    expect(text).toContain("\ncreated_ci_accounts 1\n");
    expect(text).toContain("\ncreated_nonci_accounts 1\n");
    expect(text).toContain('\nrejected_registrations{reason="username"} 1\n');
  });

  test("too little left: none is made, those that are there go on", async () => {
    await accounts.login(address, password);
    resources = { ...plenty, loadPerCore: 9.99 };
    expect(await accounts.login("ihgfedcba@chat.example", password)).toEqual({
      kind: "later",
      reason: "load",
      retryMs: 60_000,
    });
    expect((await newAccounts().login(address, password)).kind).toBe("ok");
    expect(log.lines.join("")).toContain("registration rejected: load avg per core 9.99 > 5.00");
  });

  test("a failure is no refusal", async () => {
    writeFileSync(join(config.mailFolder, "chat.example"), "a file where a folder should be");
    await expect(accounts.login(address, password)).rejects.toThrow();
  });
});

describe("new addresses of one client", () => {
  const client = "192.0.2.7";
  const other = "192.0.2.8";
  const numbered = (number: number, domain = "chat.example") => `${String(number).padStart(9, "x")}@${domain}`;
  const kindOf = async (number: number, from?: string) => (await accounts.login(numbered(number), password, from)).kind;

  beforeEach(() => {
    const few = limits({ createRatePerMinute: 60, createBurst: 2 });
    config = settings({ domains: { "chat.example": few, "other.example": few } });
    accounts = newAccounts();
  });

  test("are made until the burst is used up, then one for each period; those that are there go on", async () => {
    expect([await kindOf(1, client), await kindOf(2, client), await kindOf(3, client)]).toEqual(["ok", "ok", "later"]);
    expect(readdirSync(join(config.mailFolder, "chat.example"))).toHaveLength(2);
    expect([await kindOf(1, client), await kindOf(3, other)]).toEqual(["ok", "ok"]);
    now += 1000;
    expect([await kindOf(4, client), await kindOf(5, client)]).toEqual(["ok", "later"]);
  });

  test("the refusal is counted, and logged without an address", async () => {
    for (const number of [1, 2, 3]) await kindOf(number, client);
    expect(metrics.text()).toContain('\nrejected_registrations{reason="rate"} 1\n');
    expect(log.lines.join("")).toContain("registration rejected: more than 2 at once from one client, 60 a minute");
    expect(log.lines.join("")).not.toMatch(/192\.0|xxx/);
  });

  test("count by the network of an IPv6 client", async () => {
    const clients = ["2001:db8::1", "2001:db8::2", "2001:db8::ffff:0:0:1", "2001:db8:0:1::1"];
    const kinds = [];
    for (const [number, from] of clients.entries()) kinds.push(await kindOf(number, from));
    expect(kinds).toEqual(["ok", "ok", "later", "ok"]);
  });

  test("in each domain by itself", async () => {
    for (const number of [1, 2]) await kindOf(number, client);
    expect((await accounts.login(numbered(1, "other.example"), password, client)).kind).toBe("ok");
  });

  test("many devices that come at once with one take one turn", async () => {
    const logins = await Promise.all(Array.from({ length: 10 }, () => kindOf(1, client)));
    expect(new Set(logins)).toEqual(new Set(["ok"]));
    expect([await kindOf(2, client), await kindOf(3, client)]).toEqual(["ok", "later"]);
  });

  test("what is refused for another reason takes none", async () => {
    for (let round = 0; round < 5; round++) await accounts.login(numbered(1), "short", client);
    resources = { ...plenty, loadPerCore: 9.99 };
    for (let round = 0; round < 5; round++) expect(await kindOf(1, client)).toBe("later");
    resources = plenty;
    expect([await kindOf(1, client), await kindOf(2, client)]).toEqual(["ok", "ok"]);
  });

  test.each([undefined, "", "unknown"])("from client %j they are not counted", async (from) => {
    for (const number of [1, 2, 3]) expect(await kindOf(number, from)).toBe("ok");
  });
});

test("whether addresses are made is known before anybody logs in, and takes nobody's turn", async () => {
  const few = limits({ createRatePerMinute: 60, createBurst: 1 });
  config = settings({ domains: { "chat.example": few, "closed.example": limits({ registration: "Closed" }) } });
  accounts = newAccounts();
  for (let round = 0; round < 3; round++) {
    expect(await accounts.welcome("chat.example", few, "192.0.2.7")).toBeUndefined();
  }
  expect(await accounts.refusals()).toEqual({
    "chat.example": undefined,
    "closed.example": { reason: "Closed", message: "registration is Closed" },
  });
  expect((await accounts.login(address, password, "192.0.2.7")).kind).toBe("ok");
  expect(await accounts.welcome("chat.example", few, "192.0.2.7")).toEqual({
    kind: "later",
    reason: "rate",
    retryMs: 1000,
  });
  expect(await accounts.welcome("chat.example", few, "192.0.2.8")).toBeUndefined();
  resources = { ...plenty, freeDiskBytes: 1 };
  expect(await accounts.welcome("chat.example", few, "192.0.2.8")).toMatchObject({ reason: "disk" });
  expect(await accounts.refusals()).toMatchObject({
    "chat.example": { reason: "DiskLow", message: expect.stringMatching(/^free disk 0MB < \d+MB$/) },
  });
});

describe("a later login", () => {
  beforeEach(() => accounts.login(address, password));

  test("with the right password; the second time without hashing, until it is forgotten", async () => {
    const fresh = newAccounts();
    expect((await fresh.login(address, password)).kind).toBe("ok");
    expect((await fresh.login(address, password)).kind).toBe("ok");
    expect(jobs).toEqual(["hash", "verify"]);
    now += day;
    expect((await fresh.login(address, password)).kind).toBe("ok");
    expect(jobs).toEqual(["hash", "verify", "verify"]);
  });

  test("with a wrong one, which is never remembered", async () => {
    for (let round = 0; round < 2; round++) {
      expect((await accounts.login(address, `${password}.`)).kind).toBe("wrongPassword");
    }
    expect(jobs).toEqual(["hash", "verify", "verify"]);
  });

  test("after an administrator has changed the hash: the old password ends at once", async () => {
    writeFileSync(join(home, "password"), "{SHA512-CRYPT}$6$salt$blocked");
    expect((await accounts.login(address, password)).kind).toBe("wrongPassword");
    writeFileSync(join(home, "password"), "blocked");
    expect((await accounts.login(address, password)).kind).toBe("wrongPassword");
  });

  test("after the password was taken away: nobody gets the mail that is there", async () => {
    mkdirSync(join(home, "cur"));
    writeFileSync(join(home, "password"), "");
    expect((await accounts.login(address, password)).kind).toBe("unknown");
    expect(accounts.find(address)).toBeUndefined();
    expect(log.lines.join("")).toContain("password file is empty");
    expect(log.lines.join("")).not.toContain("abcdefghi");
  });

  test("an empty password file without mail, as a crash leaves it, is made whole", async () => {
    writeFileSync(join(home, "password"), "");
    expect((await accounts.login(address, "another password")).kind).toBe("ok");
    expect((await newAccounts().login(address, "another password")).kind).toBe("ok");
  });

  test("with many wrong ones: not checked for a while, which is no wrong password; the right one passes", async () => {
    for (let round = 0; round < 10; round++) {
      expect((await accounts.login(address, `wrong ${round}`, "192.0.2.7")).kind).toBe("wrongPassword");
    }
    expect(await accounts.login(address, "wrong again", "192.0.2.7")).toEqual({
      kind: "later",
      reason: "delayed",
      retryMs: 1000,
    });
    expect((await accounts.login(address, "wrong again", "192.0.2.8")).kind).toBe("wrongPassword");
    expect((await accounts.login(address, password, "192.0.2.7")).kind).toBe("ok");
  });

  test("with one that is too long for any: wrong, without hashing", async () => {
    expect((await accounts.login(address, "x".repeat(129))).kind).toBe("wrongPassword");
    expect(jobs).toEqual(["hash"]);
  });

  test("find knows it in any spelling, and makes none", async () => {
    expect(accounts.find("ABCDEFGHI@chat.example")?.home).toBe(home);
    expect(accounts.find("ihgfedcba@chat.example")).toBeUndefined();
  });

  test("the day of the hash file says nothing of the password, and stays: only IMAP moves it, by another door", async () => {
    utimesSync(join(home, "password"), 1, 1);
    for (const each of [accounts, newAccounts()]) expect((await each.login(address, password)).kind).toBe("ok");
    expect(statSync(join(home, "password")).mtimeMs).toBe(1000);
  });
});

describe("where not everybody may make an address, unknown ones take as long as known ones", () => {
  test.each(["Closed", "Invite"] as const)("registration %s", async (registration) => {
    await accounts.login(address, password);
    config = { ...config, domains: { "chat.example": limits({ registration }) } };
    accounts = newAccounts();
    jobs = [];
    expect((await accounts.login(address, "wrong password")).kind).toBe("wrongPassword");
    expect((await accounts.login("ihgfedcba@chat.example", "wrong password")).kind).toBe("unknown");
    expect((await accounts.login("too-long-for-a-new-one@chat.example", "short")).kind).toBe("unknown");
    writeFileSync(join(home, "password"), "blocked");
    expect((await accounts.login(address, password)).kind).toBe("wrongPassword");
    expect(jobs).toEqual(["verify", "verify", "verify", "verify"]);
    for (let round = 0; round < 10; round++) await accounts.login("ihgfedcba@chat.example", `wrong ${round}`);
    expect((await accounts.login("ihgfedcba@chat.example", "wrong again")).kind).toBe("later");
  });
});

describe("who gets an address", () => {
  const account = (domainLimits = limits()) => {
    const found = localAddress({ domains: { "chat.example": domainLimits }, mailFolder: "/m" }, address);
    if (!found) throw new Error("no address");
    return found;
  };

  test.each([
    ["Open", undefined],
    ["Invite", "invite"],
    ["Closed", "registration"],
  ] as const)("registration %s: %s", (registration, refusal) =>
    expect(creationRefusal(account(limits({ registration })), password, ["first-one"])).toBe(refusal),
  );

  test.each([
    [{}, undefined],
    [{ freeDiskBytes: 100 * 2 ** 20, diskBytes: 2 ** 29 }, undefined],
    [{ freeDiskBytes: 60 * 2 ** 20, diskBytes: 2 ** 29 }, "free disk 60MB < 64MB"],
    [{ loadPerCore: 5 }, undefined],
    [{ loadPerCore: 5.01 }, "load avg per core 5.01 > 5.00"],
    [{ loadPerCore: undefined, availableMemoryBytes: 100 * 2 ** 20 }, "available memory 100MB < 200MB"],
    [{ availableMemoryBytes: 100 * 2 ** 20, memoryLimitBytes: 2 ** 28 }, undefined],
    [{ availableMemoryBytes: 10 * 2 ** 20, memoryLimitBytes: 2 ** 28 }, "available memory 10MB < 32MB"],
    [{ freeDiskBytes: 500 * 2 ** 20 }, "free disk 500MB < 1024MB"],
    [{ loadPerCore: undefined, availableMemoryBytes: undefined, freeDiskBytes: undefined }, undefined],
  ])("%j: %s", (seen, shortage) =>
    expect(resourceShortage(limits().refuseNew, { ...plenty, ...seen })?.why).toBe(shortage),
  );

  test.each([
    ["load", { loadPerCore: 4.6 }, { loadPerCore: 4.5 }],
    ["memory", { availableMemoryBytes: 219 * 2 ** 20 }, { availableMemoryBytes: 221 * 2 ** 20 }],
    ["disk", { freeDiskBytes: 1126 * 2 ** 20 }, { freeDiskBytes: 1127 * 2 ** 20 }],
  ] as const)("%s has to recover by a tenth", (resource, still, again) => {
    const short = (seen: object, before?: typeof resource) =>
      resourceShortage(limits().refuseNew, { ...plenty, ...seen }, before)?.resource;
    expect([short(still), short(still, resource), short(again, resource)]).toEqual([undefined, resource, undefined]);
  });
});

test.each([
  ["Abcdefghi@Chat.Example", address],
  ["abcdefghi+list@chat.example", address],
  ["abcdefghi+a+b@chat.example", address],
  ["+a@chat.example", undefined],
  ["a+b@c@chat.example", undefined],
])("recipient %s is %s", (text, expected) =>
  expect(localRecipient({ domains: { "chat.example": limits() }, mailFolder: "/m" }, text)?.address).toBe(expected),
);
