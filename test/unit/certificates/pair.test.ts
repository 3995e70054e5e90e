/** What is served is a pair, in one text, and nothing that is not. */
import { generateKeyPairSync, X509Certificate } from "node:crypto";
import { beforeAll, expect, test } from "vitest";
import { joinedPem, readPair } from "../../../src/certificates/pair.ts";
import { type KeyPair, makeSelfSigned } from "../../../src/certificates/self-signed.ts";

let one: KeyPair;
let other: KeyPair;
beforeAll(async () => {
  one = await makeSelfSigned("_pair.test", new Date());
  other = await makeSelfSigned("_pair.test", new Date());
});

test("the key comes first, then the chain in its order, and no remarks", () => {
  const certificatePem = `issued by somebody\n${one.certificatePem.trim()}\nremark\n${other.certificatePem}`;
  const pair = readPair({ certificatePem, keyPem: `remark\n${one.keyPem.trim()}` });
  if ("problem" in pair) throw new Error(pair.problem);
  const pem = joinedPem(pair);
  expect(pem.match(/-----BEGIN .*-----/g)).toEqual([
    "-----BEGIN PRIVATE KEY-----",
    "-----BEGIN CERTIFICATE-----",
    "-----BEGIN CERTIFICATE-----",
  ]);
  expect(pem).not.toContain("remark");
  expect(pem).not.toContain("\n\n");
  expect(new X509Certificate(pem).fingerprint256).toBe(new X509Certificate(one.certificatePem).fingerprint256);
});

test.each([
  { when: "the key is another's", change: () => ({ keyPem: other.keyPem }), problem: /is not the key of/ },
  {
    when: "the certificate is cut off",
    change: () => ({ certificatePem: one.certificatePem.slice(0, 200) }),
    problem: /tls.crt is no/,
  },
  { when: "the key is cut off", change: () => ({ keyPem: one.keyPem.slice(0, 100) }), problem: /tls.key is no/ },
  { when: "there is nothing", change: () => ({ certificatePem: "", keyPem: "" }), problem: /tls.crt is no/ },
  {
    when: "the key wants a password",
    change: () => ({
      keyPem: generateKeyPairSync("ec", {
        namedCurve: "P-256",
        publicKeyEncoding: { type: "spki", format: "pem" },
        privateKeyEncoding: { type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "x" },
      }).privateKey,
    }),
    problem: /tls.key is no/,
  },
])("refused when $when", ({ change, problem }) => {
  expect(readPair({ ...one, ...change() })).toEqual({ problem: expect.stringMatching(problem) });
});
