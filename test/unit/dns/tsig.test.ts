/** Signatures as RFC 8945 has them, against a server's side that is written down here once more. */
import { createHmac } from "node:crypto";
import { describe, expect, test } from "vitest";
import { signMessage, type TsigAlgorithm, type TsigKey, verifyAnswer } from "../../../src/dns/tsig.ts";
import { renderUpdate } from "../../../src/dns/update.ts";
import { DnsFormatError } from "../../../src/dns/wire.ts";
import { name } from "../../helpers/name-server.ts";
import { seededRandom } from "../../helpers/seeded-random.ts";

const now = 1_796_000_000;
const key: TsigKey = { name: "Key.example", algorithm: "hmac-sha256", secret: Buffer.from("a secret of some bytes") };
const message = renderUpdate({ id: 4711, zone: "nine.example", prerequisites: [], changes: [] });

interface Answering {
  with?: TsigKey;
  /** Rcode of the message. */
  code?: number;
  error?: number;
  mac?: "right" | "none" | "wrong" | "short";
  seconds?: number;
  other?: Buffer;
  id?: number;
}

const numbers = (...all: number[]) => {
  const bytes = Buffer.alloc(all.length * 2);
  for (const [nth, each] of all.entries()) bytes.writeUInt16BE(each, nth * 2);
  return bytes;
};
const time = (seconds: number) => Buffer.from(seconds.toString(16).padStart(12, "0"), "hex");

/** What a server answers to a signed request. */
function answer(requestMac: Buffer, options: Answering = {}): Buffer {
  const { with: by = key, code = 0, error = 0, mac: kind = "right", seconds = now, other = Buffer.alloc(0) } = options;
  const { id = 4711 } = options;
  const plain = Buffer.concat([numbers(id, 0xa800 | code, 1, 0, 0, 0), message.subarray(12)]);
  const owner = name(by.name.toLowerCase());
  const algorithm = name(by.algorithm);
  const signed = createHmac(by.algorithm.slice(5), by.secret)
    .update(numbers(requestMac.length))
    .update(requestMac)
    .update(plain)
    .update(
      Buffer.concat([owner, numbers(255, 0, 0), algorithm, time(seconds), numbers(300, error, other.length), other]),
    )
    .digest();
  const macs = {
    right: signed,
    none: Buffer.alloc(0),
    wrong: Buffer.from(signed).fill(1, 3, 4),
    short: signed.subarray(0, 16),
  };
  const mac = macs[kind];
  const data = Buffer.concat([
    algorithm,
    time(seconds),
    numbers(300, mac.length),
    mac,
    numbers(id, error, other.length),
    other,
  ]);
  const whole = Buffer.concat([plain, owner, numbers(250, 255, 0, 0, data.length), data]);
  whole.writeUInt16BE(1, 10);
  return whole;
}

const signed = signMessage(message, key, now);
const verdict = (bytes: Buffer, nowSeconds = now) => verifyAnswer(bytes, { key, requestMac: signed.mac, nowSeconds });

test.each<TsigAlgorithm>(["hmac-sha256", "hmac-sha384", "hmac-sha512"])(
  "%s: signed, and the answer verified",
  (algorithm) => {
    const other = { ...key, algorithm };
    const { mac, bytes } = signMessage(message, other, now);
    expect(bytes.readUInt16BE(10)).toBe(1);
    expect(
      verifyAnswer(answer(mac, { with: other }), { key: other, requestMac: mac, nowSeconds: now }),
    ).toBeUndefined();
  },
);

test("the answer to another request is not taken", () => {
  const another = signMessage(message, key, now + 1);
  expect(verdict(answer(another.mac))).toEqual({ kind: "forged", why: "its signature is wrong" });
});

test.each<{ when: string; as: Answering; is: object }>([
  { when: "the key is unknown there", as: { code: 9, error: 17, mac: "none" }, is: { kind: "BADKEY" } },
  { when: "the secret is another", as: { code: 9, error: 16, mac: "none" }, is: { kind: "BADSIG" } },
  { when: "the signature is too short for it", as: { code: 9, error: 22 }, is: { kind: "BADTRUNC" } },
  {
    when: "its clock is another",
    as: { code: 9, error: 18, other: time(now - 600) },
    is: { kind: "BADTIME", serverSeconds: now - 600 },
  },
  { when: "its signature is wrong", as: { mac: "wrong" }, is: { kind: "forged" } },
  { when: "its signature is cut", as: { mac: "short" }, is: { kind: "forged" } },
  {
    when: "it claims another time without a signature",
    as: { code: 9, error: 18, mac: "none" },
    is: { kind: "forged" },
  },
  { when: "it signs with another key", as: { with: { ...key, name: "other.example" } }, is: { kind: "forged" } },
  { when: "it signs with another secret", as: { with: { ...key, secret: Buffer.from("x") } }, is: { kind: "forged" } },
  { when: "its answer is old", as: { seconds: now - 301 }, is: { kind: "BADTIME", serverSeconds: now - 301 } },
  { when: "its error is unknown", as: { error: 99 }, is: { kind: "forged" } },
])("$when", ({ as, is }) => expect(verdict(answer(signed.mac, as))).toMatchObject(is));

test("an answer without a signature", () => {
  expect(verdict(Buffer.concat([numbers(4711, 0xa800, 0, 0, 0, 0)]))).toEqual({ kind: "unsigned" });
});

test("the id counts as it was signed: a forwarder may have changed it", () => {
  const bytes = answer(signed.mac);
  bytes.writeUInt16BE(1, 0);
  expect(verdict(bytes)).toBeUndefined();
});

describe("hostile answers", () => {
  const right = answer(signed.mac);
  const careful = (bytes: Buffer) => {
    try {
      return verdict(bytes);
    } catch (thrown) {
      if (thrown instanceof DnsFormatError) return { kind: "unreadable" };
      throw thrown;
    }
  };

  test("cut anywhere, none is taken", () => {
    for (let length = 12; length < right.length; length++)
      expect([length, careful(right.subarray(0, length))]).not.toEqual([length, undefined]);
  });

  test("with any octet changed, none is taken but for the id", () => {
    for (let at = 2; at < right.length; at++) {
      const bytes = Buffer.from(right);
      bytes.writeUInt8(bytes.readUInt8(at) ^ 0x5a, at);
      expect([at, careful(bytes)]).not.toEqual([at, undefined]);
    }
  });

  test("random bytes do no harm", () => {
    const random = seededRandom(7);
    for (let nth = 0; nth < 2_000; nth++) {
      const bytes = Buffer.from(right);
      for (let times = 0; times < 6; times++)
        bytes.writeUInt8(Math.floor(random() * 256), Math.floor(random() * bytes.length));
      careful(bytes);
    }
  });
});
