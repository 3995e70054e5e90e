import { expect, test } from "vitest";
import type { SignatureResult } from "../../../../src/dkim/verify.ts";
import { isLiteralOf, judgeOrigin } from "../../../../src/relay/filter/origin.ts";

const result = (domain: string | undefined, outcome: SignatureResult["outcome"]): SignatureResult => ({
  domain,
  selector: "s",
  outcome,
  why: `${outcome} of ${domain}`,
});
const pass = { kind: "pass" };
const none = { text: "554 5.7.1 No DKIM signature found" };
const invalid = { text: "554 5.7.1 No valid DKIM signature found" };
const temporary = { text: "451 4.7.5 DKIM key can't be looked up now, try again later" };

test.each([
  { when: "there is no signature", from: "a.example", found: 0, results: [], verdict: none },
  { when: "it is valid", from: "a.example", results: [result("a.example", "pass")], verdict: pass },
  { when: "From is in other letters", from: "A.Example", results: [result("a.example", "pass")], verdict: pass },
  { when: "it has failed", from: "a.example", results: [result("a.example", "fail")], verdict: invalid },
  { when: "it is of a domain above", from: "b.a.example", results: [result("a.example", "pass")], verdict: invalid },
  { when: "it is of a domain below", from: "a.example", results: [result("b.a.example", "pass")], verdict: invalid },
  { when: "it is of another domain", from: "a.example", results: [result("other.example", "pass")], verdict: invalid },
  { when: "no domain can be read", from: "a.example", results: [result(undefined, "fail")], verdict: invalid },
  { when: "none was considered", from: "a.example", results: [], verdict: invalid },
  {
    when: "one of two is valid",
    from: "a.example",
    results: [result("a.example", "fail"), result("a.example", "pass")],
    verdict: pass,
  },
  {
    when: "the key is not to be had",
    from: "a.example",
    results: [result("a.example", "temporary")],
    verdict: temporary,
  },
  {
    when: "another has failed",
    from: "a.example",
    results: [result("a.example", "fail"), result("a.example", "temporary")],
    verdict: temporary,
  },
  {
    when: "another is valid",
    from: "a.example",
    results: [result("a.example", "temporary"), result("a.example", "pass")],
    verdict: pass,
  },
  {
    when: "only a stranger's key is not to be had",
    from: "a.example",
    results: [result("other.example", "temporary")],
    verdict: invalid,
  },
  { when: "From is an address literal", from: "[192.0.2.1]", found: 0, results: [], verdict: none },
])("$verdict when $when", ({ from, found, results, verdict }) => {
  expect(judgeOrigin(from, { found: found ?? 1, results })).toMatchObject(verdict);
});

test("the log is told the first reason", () => {
  const results = [result("other.example", "pass"), result("a.example", "fail")];
  expect(judgeOrigin("a.example", { found: 2, results })).toMatchObject({ why: "fail of a.example" });
});

test.each([
  ["[192.0.2.1]", "192.0.2.1"],
  ["[192.0.2.1]", "::ffff:192.0.2.1"],
  ["[192.0.2.1]", "::ffff:c000:201"],
  ["[IPv6:2001:db8::1]", "2001:db8::1"],
  ["[ipv6:2001:DB8:0:0:0:0:0:1]", "2001:db8::1"],
])("%s is the address of the client %s", (domain, client) => expect(isLiteralOf(domain, client)).toBe(true));

test.each([
  ["[192.0.2.1]", "192.0.2.2"],
  ["[192.0.2.1]", undefined],
  ["[192.0.2.1]", "unknown"],
  ["[192.0.2.1]", "2001:db8::1"],
  ["[IPv6:2001:db8::1]", "2001:db8::2"],
  ["[x]", "192.0.2.1"],
  ["[x]", "x"],
  ["[192.0.2.001]", "192.0.2.1"],
  ["[]", ""],
  ["192.0.2.1", "192.0.2.1"],
  ["a.example", "192.0.2.1"],
])("%s is not the address of the client %s", (domain, client) => expect(isLiteralOf(domain, client)).toBe(false));
