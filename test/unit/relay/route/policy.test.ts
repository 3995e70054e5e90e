import { describe, expect, test } from "vitest";
import { destinationOf, isUnverified, literalAddress } from "../../../../src/relay/route/domain.ts";
import {
  afterDiscovery,
  afterFailure,
  afterSuccess,
  type HttpsRoute,
  isDue,
  restMs,
  tlsPolicyFor,
  transportFor,
} from "../../../../src/relay/route/policy.ts";
import { createRouteResolver, exchangersFrom } from "../../../../src/relay/route/resolver.ts";
import { parseStsPolicy, stsAllows, stsId } from "../../../../src/relay/route/sts.ts";

const now = Date.parse("2026-11-23T12:00:00Z");
const half = () => 0.5;
const good: HttpsRoute = { state: "yes", hosts: ["mx.two.test"], failures: 0, lookAt: now + 1000 };

describe("destinations", () => {
  test.each([
    ["a@two.test", "two.test"],
    ["A@TWO.Test", "two.test"],
    ["a@_two.test", "_two.test"],
    ["a@[1.2.3.4]", "[1.2.3.4]"],
    ["a@[IPv6:2001:db8::1]", "[ipv6:2001:db8::1]"],
    ["a@b@c.test", "c.test"],
    ["*", undefined],
    ["a", undefined],
    ["a@", undefined],
    ["a@two..test", undefined],
    ["a@two.test/x", undefined],
    ["a@two.test\r\nx", undefined],
    ["a@[1.2.3]", undefined],
    [`a@${"x".repeat(64)}.test`, undefined],
  ])("%j: %s", (address, destination) => expect(destinationOf(address)).toBe(destination));

  test("literals and _ names are not verified", () => {
    expect(["_two.test", "[1.2.3.4]", "two.test", "x._two.test"].map(isUnverified)).toEqual([true, true, false, false]);
    expect(literalAddress("[ipv6:::1]")).toBe("::1");
  });
});

describe("what is known of a https", () => {
  test("is looked for anew when it was never, and when its time has come", () => {
    expect([undefined, good, { ...good, lookAt: now }].map((https) => isDue(https, now))).toEqual([true, false, true]);
  });

  test.each([
    { when: "found", finding: { kind: "found", hosts: ["mx.two.test"] }, state: "yes" },
    { when: "not found", finding: { kind: "none" }, state: "no" },
    { when: "never reached", finding: { kind: "unreached" }, state: "unreached" },
    { when: "not reached any more", before: good, finding: { kind: "unreached" }, state: "broken" },
    { when: "gone", before: good, finding: { kind: "none" }, state: "no" },
  ] as const)("$when: $state", ({ finding, state, ...rest }) => {
    const https = afterDiscovery("before" in rest ? rest.before : undefined, finding, now, half);
    expect(https.state).toBe(state);
    expect(https.lookAt).toBeGreaterThan(now);
  });

  test("each failure doubles the rest, up to the most; only a mail that goes through ends it", () => {
    let https = good;
    const rests: number[] = [];
    for (let count = 0; count < 12; count++) {
      https = afterFailure(https, "broken", now, () => 1);
      rests.push(https.lookAt - now);
      expect(https.state).toBe("broken");
      https = afterDiscovery(https, { kind: "found", hosts: ["mx.two.test"] }, now, half);
    }
    expect(rests.slice(0, 3)).toEqual([restMs.firstMs, 2 * restMs.firstMs, 4 * restMs.firstMs]);
    expect(rests.at(-1)).toBe(restMs.mostMs);
    expect(afterSuccess(https)).toMatchObject({ state: "yes", failures: 0 });
    expect(afterSuccess(good)).toBe(good);
  });

  test("a size that was too large is remembered, the smallest of them, and the https stays", () => {
    const once = afterFailure(good, { tooLargeBytes: 2000 }, now);
    expect(afterFailure(once, { tooLargeBytes: 3000 }, now)).toMatchObject({ state: "yes", tooLargeBytes: 2000 });
    expect(afterDiscovery(once, { kind: "found", hosts: ["x.test"] }, now)).toMatchObject({ tooLargeBytes: 2000 });
  });

  test("HTTPS is asked for only where it works, and SMTP stands behind it", () => {
    expect(transportFor("two.test", { https: good })).toBe("https:[127.0.0.1]:10083,two.test");
    expect(transportFor("two.test", undefined)).toBeUndefined();
    for (const state of ["no", "broken"] as const) {
      expect(transportFor("two.test", { https: { ...good, state } })).toBeUndefined();
    }
  });

  test("a domain whose servers did not answer goes by SMTP in processes of its own", () => {
    expect(transportFor("two.test", { https: { ...good, state: "unreached" } })).toBe("unreached:");
  });
});

describe("TLS policy", () => {
  const sts = { id: "1", mode: "enforce", mx: ["mx.two.test", "*.mail.two.test"], until: now + 1 } as const;
  const plain = "verify match=hostname servername=hostname";
  test.each([
    ["two.test", undefined, plain],
    ["two.test", { sts }, "secure match=mx.two.test:.mail.two.test servername=hostname"],
    ["two.test", { sts: { ...sts, until: now } }, plain],
    ["two.test", { sts: { ...sts, mode: "testing" } }, plain],
    ["_two.test", undefined, "encrypt"],
    ["[1.2.3.4]", undefined, "encrypt"],
    ["[ipv6:::1]", undefined, "encrypt"],
    ["nauta.cu", undefined, "may"],
    ["x.nauta.cu", undefined, plain],
    ["[127.0.0.1]:10083", undefined, "none"],
    [".test", undefined, undefined],
  ] as const)("%s %j: %s", (nextHop, known, policy) =>
    expect(tlsPolicyFor(nextHop, { known, dane: "absent" }, now)).toBe(policy),
  );

  test.each([
    ["two.test", "published", "dane-only"],
    ["two.test", "unknown", "dane-only"],
    ["_two.test", "published", "encrypt"],
    ["nauta.cu", "unknown", "may"],
  ] as const)("%s with DANE %s, before MTA-STS: %s", (nextHop, dane, policy) =>
    expect(tlsPolicyFor(nextHop, { known: { sts }, dane }, now)).toBe(policy),
  );
});

describe("MTA-STS", () => {
  test.each([
    [["v=STSv1; id=20261123;"], "20261123"],
    [["v=STSv1;id=a"], "a"],
    [["v=spf1 -all", "v=STSv1 ; id=b "], "b"],
    [["v=STSv1; id=a", "v=STSv1; id=b"], undefined],
    [["v=STSv1; id=a b"], undefined],
    [["v=STSv2; id=a"], undefined],
    [["v=STSv1"], undefined],
    [[], undefined],
  ])("%j: %s", (texts, id) => expect(stsId(texts)).toBe(id));

  const text = (...lines: string[]) => ["version: STSv1", ...lines, ""].join("\r\n");
  test("a policy as relays publish it", () => {
    expect(parseStsPolicy(text("mode: enforce", "mx: Two.test", "max_age: 2419200"), "1", now)).toEqual({
      id: "1",
      mode: "enforce",
      mx: ["two.test"],
      until: now + 2_419_200_000,
    });
  });
  test.each([
    ["no mode", text("mx: a.test", "max_age: 1")],
    ["no age", text("mode: enforce", "mx: a.test")],
    ["no host", text("mode: enforce", "max_age: 1")],
    ["a host that would change Postfix's answer", text("mode: enforce", "mx: a.test match=b", "max_age: 1")],
    ["another version", "version: STSv2\nmode: none\nmax_age: 1\n"],
    ["a web page", "<html>"],
    ["nothing", ""],
  ])("%s is none", (_, policy) => expect(parseStsPolicy(policy, "1", now)).toBeUndefined());

  test.each([
    ["mx.two.test", true],
    ["a.mail.two.test", true],
    ["a.b.mail.two.test", false],
    ["mail.two.test", false],
    ["mx.three.test", false],
  ])("%s: %s", (host, allowed) => {
    const policy = { id: "1", mode: "enforce", mx: ["mx.two.test", "*.mail.two.test"], until: now + 1 } as const;
    expect(stsAllows(policy, host, now)).toBe(allowed);
    expect(stsAllows({ ...policy, mode: "testing" }, host, now)).toBe(true);
    expect(stsAllows({ ...policy, until: now }, host, now)).toBe(true);
  });
});

describe("MX hosts", () => {
  test.each([
    [
      "by preference, then name",
      [
        ["b.test", 10],
        ["a.test", 20],
        ["a.test", 10],
      ],
      ["a.test", "b.test"],
    ],
    ["none: the domain itself", [], ["two.test"]],
    ["a null MX: nobody", [["", 0]], undefined],
    [
      "names that are none are left out",
      [
        ["x y", 0],
        ["B.test.", 5],
      ],
      ["b.test"],
    ],
  ] as const)("%s", (_, records, hosts) => {
    const found = exchangersFrom(
      "two.test",
      records.map(([exchange, priority]) => ({ exchange, priority })),
    );
    expect(found).toEqual(hosts ? { kind: "hosts", hosts } : { kind: "none" });
  });

  test.each([
    ["[1.2.3.4]", "1.2.3.4"],
    ["[ipv6:2001:db8::1]", "2001:db8::1"],
  ])("%s is its own host, and no name server is asked", async (destination, host) => {
    expect(await createRouteResolver().exchangers(destination)).toEqual({ kind: "hosts", hosts: [host] });
  });
});
