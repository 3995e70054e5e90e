import { expect, test } from "vitest";
import { endpointsOf, isCarried } from "../../../src/dns/external-dns.ts";
import { recordsOf } from "../../../src/dns/records.ts";

const domain = "nine.example.org";
const sets = recordsOf({
  domain,
  addresses: ["203.0.113.9", "2001:db8::9"],
  keys: [{ selector: "chatmail", key: { type: "rsa", base64: "x".repeat(392) } }],
  mtaStsPolicy: "version: STSv1",
  issuer: { domain: "ca.example" },
  tlsKeys: ["ab"],
});
const endpoints = endpointsOf(sets, 300);
const of = (name: string, type: string) =>
  endpoints.find(({ dnsName, recordType }) => dnsName === name && recordType === type)?.targets;

test("all that external-dns has a type for, each with its TTL and without a dot at the end of its name", () => {
  expect(sets.filter((set) => !isCarried(set)).map(({ type }) => type)).toEqual(["CAA", "TLSA"]);
  expect(endpoints).toHaveLength(sets.length - 2);
  expect(new Set(endpoints.map(({ recordTTL }) => recordTTL))).toEqual(new Set([300]));
  expect(endpoints.filter(({ dnsName }) => dnsName.endsWith("."))).toEqual([]);
});

test("addresses and hosts as they are, and the host of an SRV record with its dot", () => {
  expect(of(domain, "A")).toEqual(["203.0.113.9"]);
  expect(of(domain, "AAAA")).toEqual(["2001:db8::9"]);
  expect(of(domain, "MX")).toEqual([`10 ${domain}`]);
  expect(of(`www.${domain}`, "CNAME")).toEqual([domain]);
  expect(of(`_imaps._tcp.${domain}`, "SRV")).toEqual([`0 1 993 ${domain}.`]);
});

test("texts are in quotes, as a ; would begin a comment, and in strings of 255 octets", () => {
  expect(of(`_dmarc.${domain}`, "TXT")).toEqual(['"v=DMARC1;p=reject;adkim=s;aspf=s"']);
  const [key = ""] = of(`chatmail._domainkey.${domain}`, "TXT") ?? [];
  const strings = [...key.matchAll(/"([^"]*)"/g)].map(([, text = ""]) => text);
  expect(strings.map(({ length }) => length)).toEqual([255, expect.any(Number)]);
  expect(strings.join("")).toBe(`v=DKIM1;k=rsa;p=${"x".repeat(392)};s=email;t=s`);
});
