import { expect, test } from "vitest";
import { isExempt, judgeOrigin } from "../../../../src/relay/dkim/align.ts";
import type { SignatureResult } from "../../../../src/relay/dkim/verify.ts";

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
  { when: "From is an address literal", from: "[192.0.2.1]", found: 0, results: [], verdict: pass },
  { when: "From is an IPv6 literal", from: "[IPv6:2001:db8::1]", found: 0, results: [], verdict: pass },
])("$verdict when $when", ({ from, found, results, verdict }) => {
  expect(judgeOrigin(from, { found: found ?? 1, results })).toMatchObject(verdict);
});

test("the log is told the first reason", () => {
  const results = [result("other.example", "pass"), result("a.example", "fail")];
  expect(judgeOrigin("a.example", { found: 2, results })).toMatchObject({ why: "fail of a.example" });
});

test.each(["[192.0.2.1]", "[anything]"])("%s needs no signature", (domain) => expect(isExempt(domain)).toBe(true));
test.each(["a.example", "192.0.2.1", "[x", "x]", ""])("'%s' needs one", (domain) =>
  expect(isExempt(domain)).toBe(false),
);
