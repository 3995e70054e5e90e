import { createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";
import { expect, test } from "vitest";
import { parseKeyRecord } from "../../../src/dkim/key-record.ts";
import { makeRsaKey, publicDkimKey } from "../../../src/dns/dkim-key.ts";
import { dkimRecord, recordsOf, reverseNames } from "../../../src/dns/records.ts";
import { valueTexts } from "../../../src/dns/zone-text.ts";

const short = { type: "rsa", base64: "MIIB" } as const;
const keys = [{ selector: "chatmail", key: short }];
const linesOf = (facts: Partial<Parameters<typeof recordsOf>[0]> = {}) =>
  recordsOf({ domain: "_nine.test", addresses: ["203.0.113.9", "2001:db8::9"], keys, ...facts }).flatMap((set) =>
    valueTexts(set).map((value) => `${set.need === "Required" ? "" : "; "}${set.name} ${set.type} ${value}`),
  );

test("a _ domain", () => {
  expect(linesOf()).toEqual([
    "_nine.test. A 203.0.113.9",
    "_nine.test. AAAA 2001:db8::9",
    "_nine.test. MX 10 _nine.test.",
    'chatmail._domainkey._nine.test. TXT "v=DKIM1;k=rsa;p=MIIB;s=email;t=s"',
    "; www._nine.test. CNAME _nine.test.",
    '; _nine.test. TXT "v=spf1 a ~all"',
    '; _dmarc._nine.test. TXT "v=DMARC1;p=reject;adkim=s;aspf=s"',
    '; _adsp._domainkey._nine.test. TXT "dkim=discardable"',
    "; _submission._tcp._nine.test. SRV 0 1 587 _nine.test.",
    "; _submissions._tcp._nine.test. SRV 0 1 465 _nine.test.",
    "; _imap._tcp._nine.test. SRV 0 1 143 _nine.test.",
    "; _imaps._tcp._nine.test. SRV 0 1 993 _nine.test.",
  ]);
});

test("an ordinary domain needs its www, and all else is the same; an address literal has nothing", () => {
  const ofUnderscore = linesOf().map((line) => line.replaceAll("_nine.test", "nine.example.org"));
  expect(linesOf({ domain: "nine.example.org" })).toEqual(
    ofUnderscore.map((line) => line.replace("; www.nine.example.org. CNAME", "www.nine.example.org. CNAME")),
  );
  for (const domain of ["192.0.2.7", "2001:db8::9"]) expect(linesOf({ domain })).toEqual([]);
});

test("with a certificate of an authority: a policy with an id of its own, and its host", () => {
  const ofPolicy = (mtaStsPolicy: string) => linesOf({ domain: "a.test", mtaStsPolicy });
  const more = ofPolicy("mx: a.test").filter((line) => !linesOf({ domain: "a.test" }).includes(line));
  expect(more).toEqual([
    "mta-sts.a.test. CNAME a.test.",
    expect.stringMatching(/^_mta-sts\.a\.test\. TXT "v=STSv1; id=[0-9a-f]{20}"$/),
  ]);
  expect(ofPolicy("mx: a.test")).toEqual(ofPolicy("mx: a.test"));
  expect(ofPolicy("mx: b.test")).not.toEqual(ofPolicy("mx: a.test"));
});

test.each([
  { account: undefined, says: '0 issue "ca.example"' },
  { account: "https://ca.example/acct/1", says: '0 issue "ca.example;accounturi=https://ca.example/acct/1"' },
])("who issues, for the account $account", ({ account, says }) => {
  expect(linesOf({ issuer: { domain: "ca.example", accountURI: account } })).toContain(`; _nine.test. CAA ${says}`);
});

test("the keys of port 25, each once", () => {
  const tlsa = linesOf({ tlsKeys: ["aa", "bb", "aa"] }).filter((line) => line.includes("TLSA"));
  expect(tlsa).toEqual(["; _25._tcp._nine.test. TLSA 3 1 1 aa", "; _25._tcp._nine.test. TLSA 3 1 1 bb"]);
});

test("whoever provides the addresses is asked for their reverse names", () => {
  const addresses = ["203.0.113.9", "2001:db8::9", "lb.example.net"];
  expect(reverseNames({ domain: "_nine.test", addresses })).toEqual([
    { address: "203.0.113.9", name: "9.113.0.203.in-addr.arpa.", want: "_nine.test." },
    {
      address: "2001:db8::9",
      name: "9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.",
      want: "_nine.test.",
    },
  ]);
  expect(reverseNames({ domain: "192.0.2.7", addresses })).toEqual([]);
});

test("a load balancer's host name is no address", () => {
  expect(linesOf({ addresses: ["lb.example.net"] }).join("\n")).not.toContain("lb.example.net");
});

test("a real key is read back from its record, in strings of at most 255 octets", async () => {
  const pem = await makeRsaKey();
  expect(createPrivateKey(pem).asymmetricKeyDetails?.modulusLength).toBe(2048);
  const key = publicDkimKey(pem);
  if (!key) throw new Error("no key");
  const [value = ""] = valueTexts(dkimRecord({ domain: "_nine.test", selector: "chatmail", key }));
  const strings = [...value.matchAll(/"([^"]*)"/g)].map(([, text = ""]) => text);
  expect(value).toBe(strings.map((each) => `"${each}"`).join(" "));
  expect(strings.map((each) => each.length)).toEqual([255, expect.any(Number)]);
  const parsed = parseKeyRecord(strings.join(""));
  const read = "key" in parsed ? parsed.key.key.export({ type: "spki", format: "pem" }) : parsed.problem;
  expect(read).toBe(createPublicKey(createPrivateKey(pem)).export({ type: "spki", format: "pem" }));
});

test("a new key is RSA of 2,048 bits, as other relays have them", async () => {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = createPrivateKey(await makeRsaKey());
  expect([type, details?.modulusLength]).toEqual(["rsa", 2048]);
});

const pemOf = (...args: Parameters<typeof generateKeyPairSync>) =>
  generateKeyPairSync(...args).privateKey.export({ type: "pkcs8", format: "pem" }) as string;

test("an Ed25519 key is its 32 octets", () => {
  const key = publicDkimKey(pemOf("ed25519" as never, undefined));
  expect(key).toMatchObject({ type: "ed25519" });
  expect(Buffer.from(key?.base64 ?? "", "base64")).toHaveLength(32);
  if (!key) return;
  const [value = ""] = dkimRecord({ domain: "a.test", selector: "e", key }).values;
  expect(parseKeyRecord(value)).toMatchObject({ key: { type: "ed25519" } });
});

test.each([
  ["nothing", ""],
  ["no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"],
  ["a short key", pemOf("rsa" as never, { modulusLength: 512 })],
  ["a key that can't sign mail", pemOf("ec" as never, { namedCurve: "P-256" })],
])("%s has no public half", (_, pem) => expect(publicDkimKey(pem)).toBeUndefined());
