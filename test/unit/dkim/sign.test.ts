import { createHash, generateKeyPairSync } from "node:crypto";
import { expect, test } from "vitest";
import { createSigner, HeadersTooLarge, signingKey } from "../../../src/dkim/sign.ts";
import { parseTags } from "../../../src/dkim/tags.ts";
import { seededRandom } from "../../helpers/seeded-random.ts";
import { type Message, messageBytes, oddMessage, signed, testKey, today, verified } from "./messages.ts";

const rsa = testKey("nine.example", "opendkim");
const ed = testKey("nine.example", "ed", "ed25519");
const records = { [rsa.keyName]: rsa.record, [ed.keyName]: ed.record };

const mail: Message = {
  headers: [
    ["Received", " from x\n\tby y"],
    ["Subject", " [...]"],
    ["From", " <a@nine.example>"],
    ["To", " <b@two.example>,\n <c@two.example>"],
    ["Date", " Mon, 23 Nov 2026 05:20:43 +0000"],
    ["Message-ID", " <x@nine.example>"],
    ["Chat-Version", " 1.0"],
    ["Autocrypt", " addr=a@nine.example; keydata=abc\n def"],
    ["Content-Type", ' multipart/encrypted; boundary="b"'],
  ],
  body: "--b\r\n\r\nVersion: 1\r\n--b--\r\n\r\n\r\n",
};
const signatureTags = (message: Message, at = 0) =>
  parseTags((message.headers[at]?.[1] ?? "").replaceAll("\n", "\r\n"));

test("one signature for each key, in their order, on top", async () => {
  const result = await signed(mail, [rsa, ed]);
  expect(result.headers.slice(2)).toEqual(mail.headers);
  const tags = [0, 1].map((at) => signatureTags(result, at));
  expect(tags.map((each) => each?.get("a"))).toEqual(["rsa-sha256", "ed25519-sha256"]);
  expect(tags.map((each) => each?.get("s"))).toEqual(["opendkim", "ed"]);
  const body = createHash("sha256").update("--b\r\n\r\nVersion: 1\r\n--b--\r\n").digest("base64");
  for (const each of tags) {
    expect([...(each?.keys() ?? [])]).toEqual(["v", "a", "c", "d", "s", "t", "bh", "h", "b"]);
    expect(each?.get("c")).toBe("relaxed/simple");
    expect(each?.get("d")).toBe("nine.example");
    expect(each?.get("t")).toBe(String(today / 1000));
    expect(each?.get("bh")).toBe(body);
  }
  expect(await verified(result, records)).toMatchObject({
    found: 2,
    results: [{ outcome: "pass" }, { outcome: "pass" }],
  });
});

test("signed are the relays' headers that are there, and one more of each that must not be added", async () => {
  const names = signatureTags(await signed(mail, [rsa]))
    ?.get("h")
    ?.replace(/\s/g, "")
    .split(":");
  expect(names).toEqual([
    ...["from", "from", "reply-to", "subject", "subject", "date", "date", "to", "to", "cc"],
    ...["resent-date", "resent-from", "resent-sender", "resent-to", "resent-cc", "in-reply-to", "references"],
    ...["list-id", "list-help", "list-unsubscribe", "list-subscribe", "list-post", "list-owner", "list-archive"],
    ...["autocrypt", "autocrypt", "content-type"],
  ]);
});

test("the value is as a milter wants it: a space first, short lines, folds of LF", async () => {
  const value = (await signed(mail, [rsa])).headers[0]?.[1] ?? "";
  expect(value).toMatch(/^ v=1;/);
  expect(value).not.toContain("\r");
  const lines = `DKIM-Signature:${value}`.split("\n");
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(78);
  expect(lines.slice(1).every((line) => /^\t ?\S/.test(line))).toBe(true);
});

test("a domain without keys signs nothing; names are compared without case", async () => {
  const signer = createSigner({ keys: [rsa], now: () => today });
  expect([signer.signs("Nine.Example"), signer.signs("two.example"), signer.signs("[192.0.2.1]")]).toEqual([
    true,
    false,
    false,
  ]);
  expect(await signer.begin().end("two.example")).toEqual([]);
  expect((await signer.begin().end("NINE.example")).length).toBe(1);
});

test("each domain of the table signs with its own keys", async () => {
  const two = testKey("two.example", "x", "ed25519");
  const signing = createSigner({ keys: [rsa, two], now: () => today }).begin();
  signing.header("From", " <b@two.example>");
  const [only, ...more] = await signing.end("two.example");
  expect(more).toEqual([]);
  expect(only?.value).toContain("d=two.example; s=x;");
});

test("a bounce is signed as any other mail", async () => {
  const bounce: Message = {
    headers: [
      ["From", " MAILER-DAEMON@nine.example (Mail Delivery System)"],
      ["Auto-Submitted", " auto-replied"],
    ],
    body: "undelivered\r\n",
  };
  expect(await verified(await signed(bounce, [rsa]), records)).toMatchObject({ results: [{ outcome: "pass" }] });
});

test("headers without end are refused, those that are not signed cost nothing", async () => {
  const signer = createSigner({ keys: [ed], now: () => today });
  const many = signer.begin();
  for (let i = 0; i < 2000; i++) many.header("To", ` <${i}@two.example>`);
  await expect(many.end("nine.example")).rejects.toBeInstanceOf(HeadersTooLarge);
  const large = signer.begin();
  for (let i = 0; i < 20; i++) large.header("To", " x".repeat(50_000));
  await expect(large.end("nine.example")).rejects.toBeInstanceOf(HeadersTooLarge);
  const unsigned = signer.begin();
  for (let i = 0; i < 20; i++) unsigned.header("X-Large", " x".repeat(50_000));
  expect((await unsigned.end("nine.example")).length).toBe(1);
});

test("what is signed verifies, for odd messages in random pieces", async () => {
  const seed = Date.now() % 1_000_000;
  const random = seededRandom(seed);
  const cut = () => Math.floor(random() * random() * 300);
  for (let round = 0; round < 300; round++) {
    const message = oddMessage(random, "a@nine.example");
    const result = await signed(message, [ed], { cut });
    const checked = await verified(result, records, { cut, onlyDomain: "nine.example" });
    const where = `seed ${seed}, round ${round}: ${messageBytes(result).toString("latin1")}`;
    expect(checked.results[0]?.why, where).toBe("valid");
  }
});

const pem = { type: "pkcs8", format: "pem" } as const;
const given = { domain: "Nine.Example", selector: "a" };

test("keys are read from PEM and told by what they are", () => {
  const text = rsa.key.export(pem) as string;
  expect(signingKey({ ...given, privateKey: text })).toMatchObject({ domain: "nine.example", selector: "a" });
  const pkcs1 = rsa.key.export({ type: "pkcs1", format: "pem" }) as string;
  expect(signingKey({ ...given, privateKey: pkcs1 }).key.asymmetricKeyType).toBe("rsa");
});

test.each([
  { when: "garbage", key: "-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----\n", says: "can't be read" },
  { when: "a public key", key: rsa.record, says: "can't be read" },
  {
    when: "of another kind",
    key: generateKeyPairSync("x25519").privateKey.export(pem) as string,
    says: "is not RSA or Ed25519",
  },
  {
    when: "short",
    key: generateKeyPairSync("rsa", { modulusLength: 768 }).privateKey.export(pem) as string,
    says: "has 768 bits",
  },
])("a key that is $when is refused without showing it", ({ key, says }) => {
  const read = () => signingKey({ ...given, privateKey: key });
  expect(read).toThrow(says);
  expect(read).toThrow(/^(?!.*secret)/);
});

test("a name that is none is refused", () => {
  expect(() => signingKey({ domain: "a b", selector: "s", privateKey: "" })).toThrow("no name of a key");
});
