import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { bodyHasher, canonicalHeader } from "../../../src/dkim/canonical.ts";
import { HeaderBlock } from "../../../src/dkim/headers.ts";
import { createKeyCache } from "../../../src/dkim/keys.ts";
import type { SigningKey } from "../../../src/dkim/sign.ts";
import { createVerifier } from "../../../src/dkim/verify.ts";
import { seededRandom } from "../../helpers/seeded-random.ts";
import {
  keyRecord,
  type Message,
  onTop,
  parseMessage,
  resolverOf,
  signed,
  testKey,
  today,
  verified,
  withHeader,
} from "./messages.ts";

const fixtures = resolve(import.meta.dirname, "../../fixtures/dkim/examples");

test.each(readdirSync(fixtures))("example %s is valid", async (folder) => {
  const message = parseMessage(readFileSync(join(fixtures, folder, "message.eml")));
  const keys = JSON.parse(readFileSync(join(fixtures, folder, "keys.json"), "utf8")) as Record<string, string>;
  const { found, results } = await verified(message, keys);
  expect(results.map((each) => each.why)).toEqual(Object.keys(keys).map(() => "valid"));
  expect(found).toBe(Object.keys(keys).length);
  expect((await verified({ ...message, body: `${message.body}x` }, keys)).results[0]?.outcome).toBe("fail");
});

const rsa = testKey("nine.example", "opendkim");
const ed = testKey("nine.example", "ed", "ed25519");
const records = { [rsa.keyName]: rsa.record, [ed.keyName]: ed.record };
const mail: Message = {
  headers: [
    ["Subject", " [...]"],
    ["From", " <a@nine.example>"],
    ["To", " <b@two.example>"],
    ["Date", " Mon, 23 Nov 2026 05:20:43 +0000"],
    ["Content-Type", " text/plain"],
  ],
  body: "Hello\r\n\r\nworld \r\n",
};

let message: Message;
beforeAll(async () => {
  message = await signed(mail, [rsa]);
});

const whys = async (changed: Message, given: Parameters<typeof verified>[1] = records, options = {}) =>
  (await verified(changed, given, options)).results.map((each) => each.why);

describe("a message that was changed", () => {
  const tag = (name: string, change: (value: string) => string) => (original: Message) =>
    withHeader(original, "dkim-signature", (value) =>
      value.replace(new RegExp(`((?:^|;)\\s*${name}=)([^;]*)`), (_, before, rest) => before + change(rest)),
    );
  test.each<{ how: string; change: (original: Message) => Message; why: string }>([
    {
      how: "a letter of the body",
      change: (m) => ({ ...m, body: m.body.replace("world", "World") }),
      why: "body has changed",
    },
    { how: "a line more", change: (m) => ({ ...m, body: `${m.body}more\r\n` }), why: "body has changed" },
    { how: "no body", change: (m) => ({ ...m, body: "" }), why: "body has changed" },
    {
      how: "white space in the body",
      change: (m) => ({ ...m, body: m.body.replace("world ", "world") }),
      why: "body has changed",
    },
    { how: "Subject", change: (m) => withHeader(m, "subject", () => " other"), why: "signature does not fit" },
    {
      how: "Subject's case",
      change: (m) => withHeader(m, "to", (v) => v.toUpperCase()),
      why: "signature does not fit",
    },
    { how: "From", change: (m) => withHeader(m, "from", () => " <b@nine.example>"), why: "signature does not fit" },
    {
      how: "no Subject",
      change: (m) => ({ ...m, headers: m.headers.filter(([n]) => n !== "Subject") }),
      why: "signature does not fit",
    },
    { how: "a Subject more on top", change: (m) => onTop(m, "Subject", " x"), why: "signature does not fit" },
    {
      how: "a Subject more below",
      change: (m) => ({ ...m, headers: [...m.headers, ["Subject", " x"]] }),
      why: "signature does not fit",
    },
    { how: "a Reply-To added", change: (m) => onTop(m, "Reply-To", " x@evil.example"), why: "signature does not fit" },
    { how: "an Autocrypt added", change: (m) => onTop(m, "autocrypt", " addr=x"), why: "signature does not fit" },
    { how: "a From more", change: (m) => onTop(m, "From", " <x@nine.example>"), why: "signature does not fit" },
    {
      how: "two From more",
      change: (m) => onTop(onTop(m, "From", " <x@nine.example>"), "From", " y"),
      why: "a From is not signed",
    },
    { how: "t= of the signature", change: tag("t", () => "1"), why: "signature does not fit" },
    { how: "h= of the signature", change: tag("h", (v) => v.replace("subject:", "")), why: "signature does not fit" },
    { how: "s= of the signature", change: tag("s", () => "ed"), why: "key is of another type" },
    { how: "d= of the signature", change: tag("d", () => "evil.example"), why: "no key record" },
    { how: "a= of the signature", change: tag("a", () => "ed25519-sha256"), why: "key is of another type" },
    { how: "c= of the signature", change: tag("c", () => "relaxed/relaxed"), why: "body has changed" },
    {
      how: "bh= of the signature",
      change: tag("bh", () => "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
      why: "body has changed",
    },
    { how: "b= shortened", change: tag("b", (v) => v.slice(0, 72)), why: "signature does not fit" },
    { how: "b= of zeros", change: tag("b", () => "A".repeat(344)), why: "signature does not fit" },
    { how: "b= very long", change: tag("b", () => "A".repeat(60_000)), why: "signature does not fit" },
    {
      how: "a tag added",
      change: (m) => withHeader(m, "dkim-signature", (v) => v.replace("v=1;", "v=1; l=5;")),
      why: "body is not signed to its end",
    },
    { how: "a tag doubled", change: (m) => withHeader(m, "dkim-signature", (v) => `${v}; v=1`), why: "not a tag list" },
  ])("$how: $why", async ({ change, why }) => {
    expect(await whys(change(message))).toEqual([why]);
  });

  test.each<{ how: string; change: (original: Message) => Message }>([
    { how: "a trace header added", change: (m) => onTop(m, "Received", " from a\n by b") },
    { how: "an unsigned header changed", change: (m) => onTop(m, "X-Spam", " no") },
    { how: "Subject folded anew", change: (m) => withHeader(m, "subject", () => "\n\t[...]  ") },
    {
      how: "a name in other letters",
      change: (m) => ({ ...m, headers: m.headers.map(([n, v]) => [n.toUpperCase(), v]) }),
    },
    { how: "the signature on one line", change: (m) => withHeader(m, "dkim-signature", (v) => v.replace(/\s+/g, " ")) },
    { how: "empty lines more at the end", change: (m) => ({ ...m, body: `${m.body}\r\n\r\n` }) },
    { how: "headers in another order", change: (m) => ({ ...m, headers: m.headers.toReversed() }) },
  ])("stays valid: $how", async ({ change }) => {
    expect(await whys(change(message))).toEqual(["valid"]);
  });
});

describe("keys", () => {
  const name = rsa.keyName;
  test.each([
    { when: "there is none", given: {}, why: "no key record", outcome: "fail" },
    { when: "it is revoked", given: { [name]: "v=DKIM1; p=" }, why: "key is revoked", outcome: "fail" },
    {
      when: "it is another's",
      given: { [name]: keyRecord(generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey) },
      why: "signature does not fit",
      outcome: "fail",
    },
    { when: "the DNS fails", given: { [name]: undefined }, why: "no answer", outcome: "temporary" },
    {
      when: "the domain is testing",
      given: { [name]: rsa.record.replace("t=s", "t=s:y") },
      why: "valid, testing",
      outcome: "pass",
    },
  ])("$outcome when $when", async ({ given, why, outcome }) => {
    expect((await verified(message, given)).results).toEqual([
      { domain: "nine.example", selector: "opendkim", outcome, why },
    ]);
  });

  test("a changed body needs no key", async () => {
    expect(await whys({ ...message, body: "x" }, { [name]: undefined })).toEqual(["body has changed"]);
  });

  test("a key that was changed in the DNS is fetched once more when a signature does not fit the remembered one", async () => {
    let now = today;
    let current = keyRecord(generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey);
    let asked = 0;
    const lookup = async () => {
      asked++;
      return { kind: "found", records: [current], ttlSeconds: 86_400 } as const;
    };
    const verifier = createVerifier({ keys: createKeyCache({ lookup, now: () => now }), now: () => now });
    const check = async (given: Message) => {
      const verifying = verifier.begin();
      for (const [each, value] of given.headers) verifying.header(each, value);
      verifying.body(Buffer.from(given.body, "latin1"));
      return (await verifying.end()).results[0]?.outcome;
    };
    expect(await check(message)).toBe("fail");
    expect(asked).toBe(1);
    current = rsa.record;
    now += 60_000;
    expect(await check(message)).toBe("pass");
    expect(await check(message)).toBe("pass");
    expect(asked).toBe(2);
    const forged = withHeader(message, "subject", () => " forged");
    for (let i = 0; i < 20; i++) expect(await check(forged)).toBe("fail");
    expect(asked).toBe(2);
  });
});

/** Any signature, also ones that our signer would never make. */
function freelySigned(original: Message, tags: string, key: SigningKey = ed): Message {
  const c = /c=(simple|relaxed)\/(simple|relaxed)/.exec(tags) as unknown as [
    string,
    "simple" | "relaxed",
    "simple" | "relaxed",
  ];
  const hasher = bodyHasher(c[2]);
  hasher.write(Buffer.from(original.body, "latin1"));
  const block = new HeaderBlock();
  for (const [name, value] of original.headers) block.add(name, value);
  const names = (/h=([^;]*)/.exec(tags)?.[1] ?? "").toLowerCase().split(":");
  const value = ` v=1; a=ed25519-sha256; s=${key.selector}; bh=${hasher.finish().hash.toString("base64")}; ${tags}; b=`;
  const text = block.signedText(names, c[1]) + canonicalHeader(c[1], "DKIM-Signature", value).slice(0, -2);
  const digest = createHash("sha256").update(Buffer.from(text, "latin1")).digest();
  return onTop(original, "DKIM-Signature", value + sign(null, digest, key.key).toString("base64"));
}

const base = "d=nine.example; c=relaxed/relaxed; h=from:to";
const relaxedLength = "Hello\r\n\r\nworld\r\n".length;
test.each([
  { tags: base, why: "valid" },
  { tags: "d=nine.example; c=simple/simple; h=from:to:subject:x-none:from", why: "valid" },
  { tags: `${base}; x=${today / 1000}; t=1`, why: "valid" },
  { tags: `${base}; x=${today / 1000 - 1}; t=1`, why: "expired" },
  { tags: `${base}; t=${today / 1000 + 86_400}`, why: "valid" },
  { tags: `${base}; l=${relaxedLength}`, why: "valid" },
  { tags: `${base}; l=${relaxedLength - 1}`, why: "body is not signed to its end" },
  { tags: `${base}; l=0`, why: "body is not signed to its end" },
  { tags: `${base}; l=${relaxedLength + 1}`, why: "body is not signed to its end" },
  { tags: `${base}; l=${"9".repeat(76)}`, why: "body is not signed to its end" },
  { tags: `${base}; i=x@nine.example`, why: "valid" },
  { tags: `${base}; i=x@sub.nine.example`, why: "key is not for subdomains" },
  { tags: `${base}; unknown=1; z=From:a|To:b`, why: "valid" },
  { tags: "d=nine.example; c=relaxed/relaxed; h=from:from:from:to", why: "valid" },
  { tags: "d=nine.example; c=relaxed/relaxed; h=to:subject", why: "From is not signed" },
])("a signature with $tags: $why", async ({ tags, why }) => {
  expect(await whys(freelySigned(mail, tags))).toEqual([why]);
});

test("a key without t=s takes identities of domains below", async () => {
  const open = { [ed.keyName]: ed.record.replace(";t=s", "") };
  expect(await whys(freelySigned(mail, `${base}; i=x@sub.nine.example`), open)).toEqual(["valid"]);
});

test("a From more on top of one that is signed once is not valid, though the signature fits", async () => {
  const once = freelySigned(mail, base);
  expect(await whys(once)).toEqual(["valid"]);
  expect(await whys(onTop(once, "From", " <boss@nine.example>"))).toEqual(["a From is not signed"]);
  const headers = [...mail.headers, ["From", " <b@nine.example>"] as const];
  expect(await whys(freelySigned({ ...mail, headers }, "d=nine.example; c=relaxed/relaxed; h=from:from"))).toEqual([
    "valid",
  ]);
});

test("a signature may sign other signatures, and none that are added", async () => {
  const inner = freelySigned(mail, base);
  const outer = freelySigned(inner, `${base}:dkim-signature:dkim-signature`);
  expect(await whys(outer)).toEqual(["valid", "valid"]);
  expect((await whys(onTop(outer, "DKIM-Signature", " v=1")))[1]).toBe("signature does not fit");
});

test("without a From nothing is valid", async () => {
  const none = { ...mail, headers: mail.headers.filter(([name]) => name !== "From") };
  expect(await whys(freelySigned(none, base))).toEqual(["no From"]);
});

describe("with the domain of From told", () => {
  test("signatures of others are not considered and cost no lookup", async () => {
    const asked: string[] = [];
    const lookup = async (name: string) => {
      asked.push(name);
      return resolverOf(records)(name);
    };
    const now = () => today;
    const verifying = createVerifier({ keys: createKeyCache({ lookup, now }), now }).begin();
    const others = Array.from(
      { length: 20 },
      (_, i) => message.headers[0]?.[1].replace("nine.example", `x${i}.example`) ?? "",
    );
    for (const value of others) verifying.header("DKIM-Signature", value);
    for (const [name, value] of message.headers) verifying.header(name, value);
    verifying.endOfHeaders("Nine.Example");
    verifying.body(Buffer.from(message.body, "latin1"));
    expect(await verifying.end()).toMatchObject({ found: 21, results: [{ outcome: "pass" }] });
    expect(asked).toEqual([rsa.keyName]);
  });

  test("a mail with none of that domain says how many there were", async () => {
    expect(await verified(message, records, { onlyDomain: "two.example" })).toEqual({ found: 1, results: [] });
  });
});

describe("hostile messages", () => {
  test("of thousands of signatures ten are checked", async () => {
    let many = message;
    const forged = message.headers[0]?.[1].replace(/t=\d+/, "t=1") ?? "";
    many = {
      ...many,
      headers: [...Array.from({ length: 5000 }, () => ["DKIM-Signature", forged] as const), ...mail.headers],
    };
    const { found, results } = await verified(many, records);
    expect(results.length).toBe(10);
    expect(found).toBeGreaterThan(500);
  });

  test("headers beyond a MiB are not kept, and nothing is valid", async () => {
    const verifying = createVerifier({
      keys: createKeyCache({ lookup: resolverOf(records), now: () => today }),
      now: () => today,
    }).begin();
    for (const [name, value] of message.headers) verifying.header(name, value);
    for (let i = 0; i < 12; i++) verifying.header("X-Large", "x".repeat(100_000));
    expect(await verifying.end()).toMatchObject({ results: [{ outcome: "fail", why: "headers are too large" }] });
  });

  test("long runs of white space and semicolons are read in linear time: anything else would not end", async () => {
    for (const value of [
      " ".repeat(450_000),
      ";".repeat(450_000),
      "\n ".repeat(225_000),
      `b${" ".repeat(450_000)}`,
      "b= ".repeat(150_000),
    ]) {
      const changed = onTop(
        withHeader(message, "subject", () => value),
        "DKIM-Signature",
        value,
      );
      expect((await whys(changed)).includes("valid")).toBe(false);
    }
  });

  test("a header list of thousands of names is no trouble", async () => {
    const tags = `d=nine.example; c=relaxed/relaxed; h=${"from:to:".repeat(5000)}from`;
    expect(await whys(freelySigned(mail, tags))).toEqual(["valid"]);
  });

  test("random changes of a signature never throw and never stay valid", async () => {
    const seed = Date.now() % 1_000_000;
    const random = seededRandom(seed);
    const small = await signed(mail, [ed]);
    const canonical = (value: string) => value.replace(/[\s=]/g, "");
    const original = small.headers[0]?.[1] ?? "";
    for (let round = 0; round < 2000; round++) {
      const at = Math.floor(random() * original.length);
      const octet = String.fromCharCode(Math.floor(random() * 256));
      const value = original.slice(0, at) + octet + original.slice(at + (random() < 0.5 ? 1 : 0));
      const changed = withHeader(small, "DKIM-Signature", () => value);
      const [why] = await whys(changed);
      const where = `seed ${seed}: ${JSON.stringify(value)}`;
      // white space does not count in places, and the last letter of base64 has bits that say
      // nothing
      if (why === "valid") expect(canonical(value).slice(0, -1), where).toBe(canonical(original).slice(0, -1));
    }
  });
});
