import { generateKeyPairSync, type KeyObject, verify } from "node:crypto";
import { expect, test } from "vitest";
import { accountKeyIn, challengeText, signed, thumbprintOf } from "../../../../src/certificates/acme/jws.ts";

const pemOf = ({ privateKey }: { privateKey: KeyObject }) =>
  String(privateKey.export({ format: "pem", type: "pkcs8" }));
const keys = {
  "P-256": pemOf(generateKeyPairSync("ec", { namedCurve: "P-256" })),
  "P-384": pemOf(generateKeyPairSync("ec", { namedCurve: "P-384" })),
  RSA: pemOf(generateKeyPairSync("rsa", { modulusLength: 2048 })),
};

test.each(Object.entries(keys))(
  "an account may have a key of the kind %s, which signs as its header says",
  (_, pem) => {
    const key = accountKeyIn(pem);
    if (!key) throw new Error("no key");
    const message = signed(key, { nonce: "n", url: "https://acme.example/x" }, { a: 1 });
    const text = Buffer.from(`${message.protected}.${message.payload}`);
    const { alg, jwk } = JSON.parse(Buffer.from(message.protected, "base64url").toString()) as {
      alg: string;
      jwk: Record<string, string>;
    };
    const hash = alg === "ES384" ? "sha384" : "sha256";
    const signature = Buffer.from(message.signature, "base64url");
    expect(verify(hash, text, { key: jwk, format: "jwk", dsaEncoding: "ieee-p1363" }, signature)).toBe(true);
    expect(jwk).not.toHaveProperty("d");
    expect(thumbprintOf(key)).toMatch(/^[A-Za-z0-9_-]{43}$/);
  },
);

test.each([
  ["nothing", ""],
  ["something else", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----"],
  ["a key of another kind", pemOf(generateKeyPairSync("ed25519"))],
])("%s is no account key", (_, pem) => {
  expect(accountKeyIn(pem)).toBeUndefined();
});

test("what answers a challenge names the token and the account", () => {
  const { answer, record } = challengeText("token", "thumbprint");
  expect(answer).toBe("token.thumbprint");
  expect(record).toMatch(/^[A-Za-z0-9_-]{43}$/);
});
