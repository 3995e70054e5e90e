import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { expect, test } from "vitest";
import { parseKeyRecord } from "../../../src/dkim/key-record.ts";

const rsa = (modulusLength: number, publicExponent = 65_537) =>
  generateKeyPairSync("rsa", { modulusLength, publicExponent }).publicKey;
const der = (key: KeyObject, type: "spki" | "pkcs1" = "spki") => key.export({ type, format: "der" } as never) as Buffer;
const good = rsa(2048);
const p = der(good).toString("base64");
const ed = der(generateKeyPairSync("ed25519").publicKey);

test.each([
  { record: `p=${p}`, is: { type: "rsa", testing: false, noSubdomains: false } },
  { record: `v=DKIM1;k=rsa;p=${p};s=email;t=s`, is: { type: "rsa", noSubdomains: true } },
  { record: `v=DKIM1; h=sha1:sha256; t=y : s; n=a note; x=1; p=${p}`, is: { testing: true, noSubdomains: true } },
  { record: `v=DKIM1; s=*; p=${p.slice(0, 100)} ${p.slice(100)}`, is: { type: "rsa" } },
  { record: `"v=DKIM1;k=rsa;" "p=${p}"`, is: { type: "rsa" } },
  { record: `v=DKIM1;; k=rsa; p=${p};;`, is: { type: "rsa" } },
  { record: `v=DKIM1; p=${der(good, "pkcs1").toString("base64")}`, is: { type: "rsa" } },
  { record: `v=DKIM1; k=ed25519; p=${ed.subarray(-32).toString("base64")}`, is: { type: "ed25519" } },
  { record: `p=${der(rsa(1024)).toString("base64")}`, is: { type: "rsa" } },
])("usable: $record", ({ record, is }) => {
  expect(parseKeyRecord(record)).toMatchObject({ key: is });
});

test.each([
  { when: "revoked", record: "v=DKIM1; p=", problem: "key is revoked" },
  { when: "revoked, folded", record: "v=DKIM1; p= ;", problem: "key is revoked" },
  { when: "keyless", record: "v=DKIM1; k=rsa", problem: "key record has no key" },
  { when: "of something else", record: "v=spf1 a -all", problem: "key record is not of DKIM" },
  { when: "of another version", record: `v=DKIM2; p=${p}`, problem: "key record is not of DKIM" },
  { when: "with its version behind", record: `p=${p}; v=DKIM1`, problem: "key record is not of DKIM" },
  { when: "no tag list", record: "hello", problem: "key record is not a tag list" },
  { when: "with two keys", record: `p=${p}; p=${p}`, problem: "key record is not a tag list" },
  { when: "for SHA-1 only", record: `h=sha1; p=${p}`, problem: "key is not for SHA-256" },
  { when: "for something else", record: `s=tlsrpt; p=${p}`, problem: "key is not for mail" },
  { when: "of a type of tomorrow", record: `k=mldsa; p=${p}`, problem: "key is of an unknown type" },
  { when: "not base64", record: "p=%%%", problem: "key is malformed" },
  { when: "not a key", record: "p=YWJj", problem: "key is malformed" },
  { when: "cut", record: `p=${p.slice(0, 200)}`, problem: "key is malformed" },
  { when: "an Ed25519 key said to be RSA", record: `p=${ed.toString("base64")}`, problem: "key is malformed" },
  {
    when: "an Ed25519 key with a wrapping",
    record: `k=ed25519; p=${ed.toString("base64")}`,
    problem: "key is malformed",
  },
  { when: "an RSA key said to be Ed25519", record: `k=ed25519; p=${p}`, problem: "key is malformed" },
  { when: "short", record: `p=${der(rsa(1016)).toString("base64")}`, problem: "key is too short" },
])("unusable: $when", ({ record, problem }) => {
  expect(parseKeyRecord(record)).toEqual({ problem });
});

/** SubjectPublicKeyInfo of a made-up RSA key. */
function madeUp(modulusBytes: number, exponentBytes: number): string {
  const length = (n: number) => (n < 128 ? Buffer.from([n]) : Buffer.from([0x82, n >> 8, n & 255]));
  const tlv = (tag: number, ...content: Buffer[]) => {
    const all = Buffer.concat(content);
    return Buffer.concat([Buffer.from([tag]), length(all.length), all]);
  };
  const number = (bytes: number) => tlv(2, Buffer.from([0]), Buffer.alloc(bytes, 0xff));
  const oid = Buffer.from("300d06092a864886f70d0101010500", "hex");
  const key = tlv(0x30, number(modulusBytes), number(exponentBytes));
  return tlv(0x30, oid, tlv(3, Buffer.from([0]), key)).toString("base64");
}

test("keys that would only cost us time are refused", () => {
  expect(parseKeyRecord(`p=${madeUp(256, 3)}`)).toMatchObject({ key: { type: "rsa" } });
  expect(parseKeyRecord(`p=${madeUp(2048, 3)}`)).toEqual({ problem: "key is too large" });
  expect(parseKeyRecord(`p=${madeUp(256, 200)}`)).toEqual({ problem: "key is too large" });
});
