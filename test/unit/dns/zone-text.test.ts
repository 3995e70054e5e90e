import { expect, test } from "vitest";
import { recordsOf, reverseNames } from "../../../src/dns/records.ts";
import { formText, valueText, zoneText } from "../../../src/dns/zone-text.ts";

const long = "A".repeat(392);
const facts = {
  domain: "_nine.test",
  addresses: ["203.0.113.9"],
  keys: [{ selector: "chatmail", key: { type: "rsa", base64: long } as const }],
};
const contents = {
  domain: "_nine.test",
  sets: recordsOf(facts).slice(0, 5),
  reverse: reverseNames(facts),
  ttlSeconds: 300,
};

test("a zone file: long texts in strings, what is needed before what helps", () => {
  expect(zoneText(contents).split("\n")).toEqual([
    "; DNS records of _nine.test",
    "",
    "; Required: without these mail is not delivered, or other servers refuse it",
    "_nine.test.                     300 IN A     203.0.113.9",
    "_nine.test.                     300 IN MX    10 _nine.test.",
    `chatmail._domainkey._nine.test. 300 IN TXT   "v=DKIM1;k=rsa;p=${"A".repeat(239)}" "${"A".repeat(153)};s=email;t=s"`,
    "",
    "; Recommended",
    "www._nine.test.                 300 IN CNAME _nine.test.",
    '_nine.test.                     300 IN TXT   "v=spf1 a ~all"',
    "",
    "; Wished for: whoever provides the address sets its reverse name",
    "; 9.113.0.203.in-addr.arpa. IN PTR _nine.test.",
    "",
  ]);
});

test("for a form: one string, without quotes", () => {
  const text = formText(contents);
  const key = ["name:  chatmail._domainkey._nine.test.", "type:  TXT", `value: v=DKIM1;k=rsa;p=${long};s=email;t=s`];
  expect(text).toContain(`\n\n${[...key, "ttl:   300"].join("\n")}\n\n`);
  expect(text).toMatch(/name: {2}9\.113\.0\.203\.in-addr\.arpa\.\ntype: {2}PTR\nvalue: _nine\.test\.\n$/);
  expect(text).not.toContain('"');
});

test("quotes and backslashes in a text, and texts of any length", () => {
  expect(valueText("TXT", 'a "b" \\')).toBe('"a \\"b\\" \\\\"');
  expect(valueText("TXT", "")).toBe('""');
  expect(valueText("TXT", "x".repeat(255))).toBe(`"${"x".repeat(255)}"`);
});

test("a critical CAA record", () => {
  expect(valueText("CAA", { critical: true, tag: "issue", value: ";" })).toBe('128 issue ";"');
});
