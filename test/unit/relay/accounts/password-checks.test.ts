import { beforeEach, describe, expect, test } from "vitest";
import type { HashJob, HashResult } from "../../../../src/relay/accounts/hash-worker.ts";
import { PasswordChecks, type Verdict } from "../../../../src/relay/accounts/password-checks.ts";
import { until } from "../../../helpers/until.ts";

/** What is compared here; real hashes are in accounts.test.ts. */
const cryptOf = (password: string) => `$6$salt$${password}`;

let now: number;
let jobs: HashJob[];
/** Hashes that are being computed, where `held`. */
let running: (() => void)[];
let held: boolean;
let checks: PasswordChecks;

beforeEach(() => {
  now = 1_000_000;
  jobs = [];
  running = [];
  held = false;
  checks = new PasswordChecks({
    now: () => now,
    hashesAtOnce: 2,
    async hash(job): Promise<HashResult> {
      jobs.push(job);
      if (held) await new Promise<void>((resolve) => running.push(resolve));
      return job.kind === "hash" ? cryptOf(job.password) : job.stored === cryptOf(job.password);
    },
  });
});

const check = (client: string, account: string, password: string, right = "right") =>
  checks.check({ client, account, password }, cryptOf(right));
const kinds = (verdicts: readonly Verdict[]) => {
  const counts = { right: 0, wrong: 0, later: 0 };
  for (const { kind } of verdicts) counts[kind]++;
  return counts;
};
const release = async () => {
  held = false;
  for (const end of running.splice(0)) end();
};

describe("510 wrong passwords at once", () => {
  const flood = (client: (index: number) => string, account: (index: number) => string) =>
    Array.from({ length: 510 }, (_, index) => check(client(index), account(index), `wrong ${index}`));

  test.each([
    { what: "one client, one account", client: () => "evil", account: () => "a", most: 10 },
    { what: "one client, many accounts", client: () => "evil", account: (i: number) => `a${i}`, most: 310 },
    { what: "many clients, one account", client: (i: number) => `c${i}`, account: () => "a", most: 20 },
    {
      what: "many /64 of one /48, many accounts",
      client: (i: number) => `2001:db8:1:${i.toString(16)}::/64`,
      account: (i: number) => `a${i}`,
      most: 510,
    },
  ])("$what: an honest login and a new address take their turns", async ({ client, account, most }) => {
    held = true;
    const attack = flood(client, account);
    const honest = check("honest", "mine", "right");
    const made = checks.create({ client: "new", account: "new", password: "fresh" });
    // two are running, and of each network one may come before
    for (let turn = 0; turn < 11; turn++) {
      for (const end of running.splice(0)) end();
      await new Promise((resolve) => setImmediate(resolve));
    }
    const waiting = Symbol("still waiting");
    expect(await Promise.race([honest, Promise.resolve(waiting)])).toEqual({ kind: "right" });
    expect(await Promise.race([made, Promise.resolve(waiting)])).toBe(cryptOf("fresh"));
    await release();
    const { wrong, right } = kinds(await Promise.all(attack));
    expect(right).toBe(0);
    expect(wrong).toBeLessThanOrEqual(most);
  });

  test("the owner is not shut out, at a client that has logged in before", async () => {
    expect(await check("owner", "a", "right")).toEqual({ kind: "right" });
    now += 86_400_001;
    held = true;
    const attack = flood(
      (i) => `c${i}`,
      () => "a",
    );
    const honest = check("owner", "a", "right");
    await until("the owner's to run", async () => {
      for (const end of running.splice(0)) end();
      return jobs.some((job) => job.kind === "verify" && job.password === "right");
    });
    await release();
    expect(await honest).toEqual({ kind: "right" });
    expect(kinds(await Promise.all(attack)).right).toBe(0);
  });

  test("behind the attacker's own address: a password seen before passes, and a new client has its attempts", async () => {
    await check("nat", "mine", "right");
    await Promise.all(
      flood(
        () => "nat",
        (i) => `a${i % 40}`,
      ),
    );
    const before = jobs.length;
    expect(await check("nat", "mine", "right")).toEqual({ kind: "right" });
    expect(jobs).toHaveLength(before);
    expect(await check("nat", "neighbour", "a typo")).toEqual({ kind: "wrong" });
    expect(await check("nat", "neighbour", "right")).toEqual({ kind: "right" });
  });
});

test("ten wrong ones of a client are checked, the others not until the delay is over; a remembered one passes", async () => {
  await check("c", "a", "right");
  for (let count = 0; count < 10; count++) expect((await check("c", "a", `${count}`)).kind).toBe("wrong");
  expect(await check("c", "a", "x")).toEqual({ kind: "later", reason: "delayed", retryMs: 1000 });
  expect(await check("c", "a", "right")).toEqual({ kind: "right" });
  now += 1000;
  expect((await check("c", "a", "x")).kind).toBe("wrong");
  expect(await check("c", "a", "y")).toEqual({ kind: "later", reason: "delayed", retryMs: 2000 });
});

test("devices that come at once with one password share a hash, also a wrong one", async () => {
  for (const password of ["right", "wrong"]) {
    await Promise.all(Array.from({ length: 50 }, () => check("c", "a", password)));
  }
  expect(jobs).toHaveLength(2);
  // and count as one failure
  expect((await check("c", "a", "another")).kind).toBe("wrong");
});

test("without a stored hash a password is hashed as well, and wrong", async () => {
  const attempt = { client: "c", account: "a", password: "x" };
  expect(await checks.check(attempt, undefined)).toEqual({ kind: "wrong" });
  expect(jobs).toEqual([{ kind: "verify", password: "x", stored: expect.stringMatching(/^\$6\$[./\w]{16}\$\.{86}$/) }]);
});

test("a hash that fails is a failure, not a wrong password", async () => {
  checks = new PasswordChecks({ now: () => now, hashesAtOnce: 1, hash: () => Promise.reject(new Error("broken")) });
  for (let count = 0; count < 20; count++) await expect(check("c", "a", "x")).rejects.toThrow("broken");
});
