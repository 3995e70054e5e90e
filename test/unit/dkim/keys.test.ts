import { generateKeyPairSync } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createKeyCache, type TxtAnswer } from "../../../src/dkim/keys.ts";
import { keyRecord } from "./messages.ts";

const record = keyRecord(generateKeyPairSync("ed25519").publicKey);
const other = keyRecord(generateKeyPairSync("ed25519").publicKey);
const found = (ttlSeconds: number, ...texts: string[]): TxtAnswer => ({ kind: "found", records: texts, ttlSeconds });

let now = 0;
let asked: string[] = [];
let answers: (TxtAnswer | Error)[] = [];
const lookup = async (name: string): Promise<TxtAnswer> => {
  asked.push(name);
  const answer = answers.length > 1 ? answers.shift() : answers[0];
  if (!answer || answer instanceof Error) throw answer ?? new Error("no answer is left");
  return answer;
};
const cache = (size?: number) => createKeyCache({ lookup, now: () => now, ...(size ? { size } : {}) });

beforeEach(() => {
  now = 0;
  asked = [];
  answers = [found(300, record)];
});

test.each([
  { when: "a TTL", answer: found(300, record), heldSeconds: 300 },
  { when: "no TTL to speak of", answer: found(0, record), heldSeconds: 30 },
  { when: "a TTL of a month", answer: found(2_592_000, record), heldSeconds: 86_400 },
  { when: "no record", answer: { kind: "none", ttlSeconds: 20 } as const, heldSeconds: 20 },
  { when: "no record for an hour", answer: { kind: "none", ttlSeconds: 3600 } as const, heldSeconds: 60 },
  { when: "a record without a usable key", answer: found(3600, "v=DKIM1; p="), heldSeconds: 60 },
])("an answer with $when is remembered for $heldSeconds seconds", async ({ answer, heldSeconds }) => {
  answers = [answer];
  const keys = cache();
  const first = await keys.get("a.example");
  now = heldSeconds * 1000 - 1;
  expect(await keys.get("A.Example")).toBe(first);
  expect(asked).toEqual(["a.example"]);
  now += 1;
  await keys.get("a.example");
  expect(asked.length).toBe(2);
});

test("a failed lookup is remembered for ten seconds, and is not the answer that there is no key", async () => {
  answers = [{ kind: "failed", why: "SERVFAIL" }, new Error("bug"), found(300, record)];
  const keys = cache();
  expect(await keys.get("a.example")).toEqual({ kind: "failed", why: "SERVFAIL" });
  now = 9_999;
  expect(await keys.get("A.example")).toEqual({ kind: "failed", why: "SERVFAIL" });
  expect(asked.length).toBe(1);
  now = 10_000;
  expect(await keys.get("a.example")).toEqual({ kind: "failed", why: "the resolver failed" });
  now = 20_000;
  expect(await keys.get("a.example")).toMatchObject({ kind: "keys" });
});

test("names that fail by the thousand take no key's place", async () => {
  const keys = cache(10);
  await keys.get("s._domainkey.good.example");
  answers = [{ kind: "failed", why: "SERVFAIL" }];
  for (let count = 0; count < 1000; count++) await keys.get(`s${count}._domainkey.bad.example`);
  expect(await keys.get("s._domainkey.good.example")).toMatchObject({ kind: "keys" });
  expect(asked.length).toBe(1001);
});

describe("a name server that is silent", () => {
  let answer: (txt: TxtAnswer) => void;
  const silent = () =>
    createKeyCache({
      now: () => now,
      lookup: (name) => {
        asked.push(name);
        if (!name.endsWith(".silent.example")) return lookup("");
        return new Promise((resolve) => {
          answer = resolve;
        });
      },
    });
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
  afterEach(() => void vi.useRealTimers());

  test("is waited for three seconds by each mail; what it says later is remembered", async () => {
    const keys = silent();
    const first = keys.get("s._domainkey.silent.example");
    await vi.advanceTimersByTimeAsync(2000);
    const second = keys.get("s._domainkey.silent.example");
    await vi.advanceTimersByTimeAsync(1000);
    expect(await first).toMatchObject({ kind: "failed" });
    answer(found(300, record));
    expect(await second).toMatchObject({ kind: "keys" });
    expect(await keys.get("s._domainkey.silent.example")).toMatchObject({ kind: "keys" });
    expect(asked).toEqual(["s._domainkey.silent.example"]);
  });

  test("is asked for four names at the same time; other domains, and names that are looked up already, don't mind", async () => {
    const keys = silent();
    const waiting = [1, 2, 3, 4, 4, 1].map((at) => keys.get(`s${at}._domainkey.silent.example`));
    expect(await keys.get("s5._domainkey.silent.example")).toEqual({
      kind: "failed",
      why: "too many keys of this domain are being looked up",
    });
    expect(await keys.get("s5._domainkey.other.example")).toMatchObject({ kind: "keys" });
    await vi.advanceTimersByTimeAsync(3000);
    expect((await Promise.all(waiting)).map(({ kind }) => kind)).toEqual(Array(6).fill("failed"));
    // the lookups still run: patience is the mail's
    expect(await keys.get("s5._domainkey.silent.example")).toMatchObject({ kind: "failed" });
    answer({ kind: "failed", why: "no answer" });
    await vi.advanceTimersByTimeAsync(0);
    const next = keys.get("s5._domainkey.silent.example");
    await vi.advanceTimersByTimeAsync(3000);
    expect(await next).toEqual({ kind: "failed", why: "name server: no answer in time" });
  });
});

test("many who wait for one name cost one lookup", async () => {
  const keys = cache();
  const all = await Promise.all(Array.from({ length: 100 }, () => keys.get("a.example")));
  expect(new Set(all).size).toBe(1);
  expect(asked.length).toBe(1);
});

test("asked again it looks anew, unless the answer is fresh", async () => {
  answers = [found(3600, record), found(3600, other)];
  const keys = cache();
  const first = await keys.get("a.example");
  now = 14_999;
  expect(await keys.getAgain("a.example")).toBe(first);
  now = 15_000;
  const second = await keys.getAgain("a.example");
  expect(second).not.toBe(first);
  expect(await keys.getAgain("a.example")).toBe(second);
  expect(await keys.get("a.example")).toBe(second);
  expect(asked.length).toBe(2);
});

test("a refresh that fails leaves what is known, which still holds for others", async () => {
  answers = [found(3600, record), { kind: "failed", why: "timeout" }, found(3600, other)];
  const keys = cache();
  const first = await keys.get("a.example");
  now = 60_000;
  expect(await keys.getAgain("a.example")).toEqual({ kind: "failed", why: "timeout" });
  expect(await keys.get("a.example")).toBe(first);
  now = 70_000;
  expect(await keys.getAgain("a.example")).not.toBe(first);
  expect(asked.length).toBe(3);
});

test("the name that was not used for longest is forgotten first", async () => {
  const keys = cache(2);
  for (const name of ["a", "b", "a", "c", "a", "b"]) await keys.get(name);
  expect(asked).toEqual(["a", "b", "c", "b"]);
});

test("of several records three are looked at, those that are keys count", async () => {
  answers = [found(300, "v=spf1 -all", record, other, record)];
  expect(await cache().get("a.example")).toMatchObject({
    kind: "keys",
    keys: [{ type: "ed25519" }, { type: "ed25519" }],
  });
  answers = [found(300, "v=spf1 -all", "v=DKIM1; p=")];
  expect(await cache().get("a.example")).toEqual({ kind: "none", why: "key record is not of DKIM" });
});
