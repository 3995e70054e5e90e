import { describe, expect, test } from "vitest";
import type { Lookup } from "../../../../src/dns/lookup.ts";
import { Dane, findDane, isUsable } from "../../../../src/relay/route/dane.ts";

/** Answers by "NAME TYPE"; what is not here does not exist, says a validated answer. */
type Zone = Record<string, object>;
const none = { kind: "none", secure: true, ttlSeconds: 300 };
const failed = { kind: "failed", why: "name server answered SERVFAIL" };

const found = (...records: unknown[]) => ({ kind: "found", secure: true, records, ttlSeconds: 300 });
const insecure = (...records: unknown[]) => ({ ...found(...records), secure: false });
const alias = (name: string) => ({ ...found(undefined), name });
const mx = (preference: number, host: string) => ({ preference, host });
const tlsa = (usage: number) => ({ usage, selector: 1, matching: 1, bytes: 32 });

const lookupIn = (zone: Zone, asked: string[] = []): Lookup =>
  (async (name: string, type: string) => {
    asked.push(`${name} ${type}`);
    return { name, ...(zone[`${name} ${type}`] ?? none) };
  }) as unknown as Lookup;

const good: Zone = {
  "two.test MX": found(mx(10, "mx.two.test")),
  "mx.two.test A": found(undefined),
  "_25._tcp.mx.two.test TLSA": found(tlsa(3)),
};

describe("a record that a client of mail can use", () => {
  test.each([
    [{ usage: 3, selector: 1, matching: 1, bytes: 32 }, true],
    [{ usage: 2, selector: 0, matching: 2, bytes: 64 }, true],
    [{ usage: 3, selector: 0, matching: 0, bytes: 900 }, true],
    [{ usage: 0, selector: 1, matching: 1, bytes: 32 }, false],
    [{ usage: 1, selector: 1, matching: 1, bytes: 32 }, false],
    [{ usage: 3, selector: 2, matching: 1, bytes: 32 }, false],
    [{ usage: 3, selector: 1, matching: 1, bytes: 31 }, false],
    [{ usage: 3, selector: 1, matching: 3, bytes: 32 }, false],
    [{ usage: 3, selector: 1, matching: 0, bytes: 0 }, false],
  ])("%j: %s", (record, usable) => expect(isUsable(record)).toBe(usable));
});

describe("DANE of a domain", () => {
  test.each<{ when: string; zone: Zone; is: string }>([
    { when: "all is signed", zone: good, is: "published" },
    { when: "nothing is published", zone: { ...good, "_25._tcp.mx.two.test TLSA": none }, is: "absent" },
    {
      when: "the MX records are not signed",
      zone: { ...good, "two.test MX": insecure(mx(10, "mx.two.test")) },
      is: "absent",
    },
    { when: "the address is not signed", zone: { ...good, "mx.two.test A": insecure(undefined) }, is: "absent" },
    {
      when: "only the IPv6 address is there",
      zone: { ...good, "mx.two.test A": none, "mx.two.test AAAA": found(undefined) },
      is: "published",
    },
    { when: "the question for IPv6 fails", zone: { ...good, "mx.two.test AAAA": failed }, is: "published" },
    {
      when: "the TLSA record is not signed",
      zone: { ...good, "_25._tcp.mx.two.test TLSA": insecure(tlsa(3)) },
      is: "absent",
    },
    {
      when: "it names a public authority",
      zone: { ...good, "_25._tcp.mx.two.test TLSA": found(tlsa(1), tlsa(0)) },
      is: "absent",
    },
    {
      when: "one of several can be used",
      zone: { ...good, "_25._tcp.mx.two.test TLSA": found(tlsa(1), tlsa(2)) },
      is: "published",
    },
    { when: "the TLSA lookup fails", zone: { ...good, "_25._tcp.mx.two.test TLSA": failed }, is: "unknown" },
    { when: "the address lookups fail", zone: { ...good, "mx.two.test A": failed }, is: "unknown" },
    { when: "the MX lookup fails", zone: { ...good, "two.test MX": failed }, is: "unknown" },
    {
      when: "it has no MX",
      zone: { "two.test A": found(undefined), "_25._tcp.two.test TLSA": found(tlsa(3)) },
      is: "published",
    },
    { when: "it takes no mail", zone: { "two.test MX": found(mx(0, "")) }, is: "absent" },
    { when: "it does not exist", zone: {}, is: "absent" },
    {
      when: "the second host publishes",
      zone: {
        ...good,
        "two.test MX": found(mx(5, "mx.one.test"), mx(10, "mx.two.test")),
        "mx.one.test A": insecure(undefined),
      },
      is: "published",
    },
    {
      when: "the second host can't be asked, and the first has none",
      zone: {
        "two.test MX": found(mx(10, "b.two.test"), mx(5, "a.two.test")),
        "a.two.test A": found(undefined),
        "b.two.test A": failed,
      },
      is: "unknown",
    },
    {
      when: "the host is an alias, and publishes where it leads to",
      zone: {
        ...good,
        "mx.two.test A": alias("x.test"),
        "_25._tcp.mx.two.test TLSA": none,
        "_25._tcp.x.test TLSA": found(tlsa(3)),
      },
      is: "published",
    },
    {
      when: "the host is an alias, and publishes at the alias",
      zone: { ...good, "mx.two.test A": alias("x.test") },
      is: "published",
    },
  ])("$is when $when", async ({ zone, is }) => {
    expect(await findDane("two.test", lookupIn(zone))).toMatchObject({ finding: is });
  });

  test("a server without a signed address is not asked for TLSA, as many answer that wrongly", async () => {
    const asked: string[] = [];
    await findDane("two.test", lookupIn({ ...good, "mx.two.test A": insecure(undefined) }, asked));
    expect(asked.filter((each) => each.endsWith("TLSA"))).toEqual([]);
  });
});

describe("memory", () => {
  test("holds as long as the DNS says, a failure for seconds, and asks once for all who wait", async () => {
    let now = 0;
    const zone = { ...good };
    const asked: string[] = [];
    const dane = new Dane({ lookup: lookupIn(zone, asked), now: () => now });
    const questions = () => asked.splice(0).length;
    expect(await Promise.all([dane.of("two.test", 1000), dane.of("two.test", 1000)])).toEqual([
      "published",
      "published",
    ]);
    expect(questions()).toBe(4);
    zone["_25._tcp.mx.two.test TLSA"] = failed;
    now = 299_999;
    expect([await dane.of("two.test", 1000), questions()]).toEqual(["published", 0]);
    now = 300_000;
    expect([await dane.of("two.test", 1000), questions()]).toEqual(["unknown", 4]);
    now = 304_999;
    expect([await dane.of("two.test", 1000), questions()]).toEqual(["unknown", 0]);
    zone["_25._tcp.mx.two.test TLSA"] = none;
    now = 305_000;
    expect(await dane.of("two.test", 1000)).toBe("absent");
  });

  test("after the patience it is not known; the lookup goes on", async () => {
    let answer: (() => void) | undefined;
    const held = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const lookup = lookupIn(good);
    const slow = (async (name: string, type: "MX") => {
      await held;
      return lookup(name, type);
    }) as Lookup;
    const dane = new Dane({ lookup: slow, now: () => 0 });
    expect(await dane.of("two.test", 1)).toBe("unknown");
    answer?.();
    expect(await dane.of("two.test", 1000)).toBe("published");
  });

  test("the domain looked up longest ago goes first", async () => {
    const asked: string[] = [];
    const dane = new Dane({ lookup: lookupIn({}, asked), now: () => 0, size: 2 });
    for (const domain of ["a.test", "b.test", "c.test", "b.test", "a.test"]) await dane.of(domain, 1000);
    expect(asked.filter((each) => each.endsWith("MX"))).toEqual(["a.test MX", "b.test MX", "c.test MX", "a.test MX"]);
  });
});
