import { beforeEach, expect, test } from "vitest";
import { LoginFailures, type Origin } from "../../../../src/relay/accounts/failures.ts";

let now: number;
let failures: LoginFailures;
beforeEach(() => {
  now = 1_000_000;
  failures = new LoginFailures(() => now);
});

const from = (client: string, account: string, over: Partial<Origin> = {}) => ({
  network: client,
  client,
  account,
  known: false,
  ...over,
});
const fail = (times: number, client: string, account: string) => {
  for (let count = 0; count < times; count++) failures.wrong(from(client, account));
};
/** Seconds until the next password is checked. */
const waits = (client: string, account: string, over: Partial<Origin> = {}) => {
  const { blockedUntil } = failures.standing(from(client, account, over));
  return blockedUntil === undefined ? 0 : (blockedUntil - now) / 1000;
};

test("after ten wrong passwords each one makes the delay twice as long, up to five minutes", () => {
  fail(9, "c", "a");
  expect(waits("c", "a")).toBe(0);
  const delays = Array.from({ length: 11 }, () => {
    failures.wrong(from("c", "a", { known: true }));
    const delay = waits("c", "a", { known: true });
    now += delay * 1000;
    expect(waits("c", "a", { known: true })).toBe(0);
    return delay;
  });
  expect(delays).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
});

test("other clients of the account and other accounts of the client go on", () => {
  fail(10, "c", "a");
  expect([waits("other", "a"), waits("c", "other")]).toEqual([0, 0]);
});

test("many clients for one account: after twenty each waits, but one that has logged in before does not", () => {
  for (let client = 0; client < 20; client++) fail(1, `c${client}`, "a");
  expect(waits("new", "a")).toBe(1);
  fail(10, "c", "a");
  expect(waits("new", "a")).toBe(60);
  expect(waits("owner", "a", { known: true })).toBe(0);
  expect(waits("new", "another")).toBe(0);
});

test("clients of one network are suspicious together", () => {
  for (let client = 0; client < 10; client++) failures.wrong(from(`c${client}`, `a${client}`, { network: "n" }));
  expect(failures.standing(from("new", "mine", { network: "n" }))).toEqual({
    blockedUntil: undefined,
    suspicious: true,
  });
});

test("a client that sprays: three for each further account, then it waits", () => {
  for (let account = 0; account < 12; account++) fail(1, "c", `a${account}`);
  expect(failures.standing(from("c", "new")).suspicious).toBe(true);
  fail(2, "c", "mine");
  expect(waits("c", "mine")).toBe(0);
  fail(1, "c", "mine");
  expect(waits("c", "mine")).toBeGreaterThan(0);
  expect(waits("c", "another")).toBe(0);
});

test("a right password forgets those for the account, and not that the client sprays", () => {
  fail(10, "c", "a");
  failures.right(from("c", "a"));
  expect(failures.standing(from("c", "a"))).toEqual({ blockedUntil: undefined, suspicious: true });
});

test("an hour without another forgets them all", () => {
  fail(15, "c", "a");
  now += 3_600_000;
  expect(failures.standing(from("c", "a"))).toEqual({ blockedUntil: undefined, suspicious: false });
  fail(1, "c", "a");
  expect(waits("c", "a")).toBe(0);
});

test("memory is bounded: the oldest are forgotten first", () => {
  fail(12, "first", "a");
  for (let client = 0; client < 15_000; client++) fail(1, `c${client}`, `a${client}`);
  expect(failures.size).toBe(30_000);
  expect(waits("first", "a")).toBe(0);
});
