/**
 * Signatures of DNS messages with a shared key (TSIG, RFC 8945): signs what is sent, verifies what
 * is answered. Pure.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { messageOf } from "../lib/text.ts";
import { endOfQuestions } from "./query.ts";
import { DnsFormatError, endOfName, nameBytes, placesOf, plainNameAt } from "./wire.ts";

export type TsigAlgorithm = "hmac-sha256" | "hmac-sha384" | "hmac-sha512";

export interface TsigKey {
  /** As the server knows it; upper and lower case are the same. */
  name: string;
  algorithm: TsigAlgorithm;
  secret: Buffer;
}

/** What a server says of our signature, or what is wrong with its own. */
export type TsigProblem =
  | { kind: "BADKEY" | "BADSIG" | "BADTRUNC" }
  /** Its clock, in seconds since 1970, where it says so. */
  | { kind: "BADTIME"; serverSeconds: number | undefined }
  /** It did not sign; its answer may be anybody's. */
  | { kind: "unsigned" }
  /** It signed, but not with this key, not this answer, or not now. */
  | { kind: "forged"; why: string };

const type = 250;
const classAny = 255;
const fudgeSeconds = 300;
const errors: Readonly<Record<number, "BADSIG" | "BADKEY" | "BADTIME" | "BADTRUNC">> = {
  16: "BADSIG",
  17: "BADKEY",
  18: "BADTIME",
  22: "BADTRUNC",
};

export interface Signed {
  bytes: Buffer;
  /** The answer is signed together with it. */
  mac: Buffer;
}

export function signMessage(message: Buffer, key: TsigKey, nowSeconds: number): Signed {
  const fields = { seconds: nowSeconds, fudge: fudgeSeconds, error: 0, other: Buffer.alloc(0) };
  const mac = macOf([message, variables(key, fields)], key);
  const original = message.subarray(0, 2);
  const data = Buffer.concat([
    nameBytes(key.algorithm),
    time48(fields.seconds),
    uint16(fields.fudge, mac.length),
    mac,
    original,
    uint16(0, 0),
  ]);
  const record = Buffer.concat([nameBytes(keyName(key)), uint16(type, classAny, 0, 0, data.length), data]);
  const bytes = Buffer.concat([message, record]);
  bytes.writeUInt16BE(message.readUInt16BE(10) + 1, 10);
  return { bytes, mac };
}

/**
 * Undefined where the answer is signed with this key, for this request, now. Throws DnsFormatError
 * where it can't be read.
 */
export function verifyAnswer(
  answer: Buffer,
  { key, requestMac, nowSeconds }: { key: TsigKey; requestMac: Buffer; nowSeconds: number },
): TsigProblem | undefined {
  const found = signatureIn(answer);
  if (!found) return { kind: "unsigned" };
  const error = errors[found.error];
  // who does not know the key can't sign with it
  if (error === "BADKEY" || error === "BADSIG") return { kind: error };
  if (found.name !== keyName(key) || found.algorithm !== key.algorithm)
    return { kind: "forged", why: `it is signed with key ${found.name} (${found.algorithm})` };
  const mac = macOf([uint16(requestMac.length), requestMac, found.unsigned, variables(key, found)], key);
  if (mac.length !== found.mac.length || !timingSafeEqual(mac, found.mac))
    return { kind: "forged", why: "its signature is wrong" };
  if (error === "BADTIME")
    return { kind: error, serverSeconds: found.other.length === 6 ? found.other.readUIntBE(0, 6) : undefined };
  if (error) return { kind: error };
  if (found.error !== 0) return { kind: "forged", why: `its TSIG error is ${found.error}` };
  if (Math.abs(found.seconds - nowSeconds) > found.fudge) return { kind: "BADTIME", serverSeconds: found.seconds };
  return undefined;
}

interface Fields {
  seconds: number;
  fudge: number;
  error: number;
  other: Buffer;
}

interface Signature extends Fields {
  name: string;
  algorithm: string;
  mac: Buffer;
  /** The message as it was before it was signed. */
  unsigned: Buffer;
}

/** The record, which has to be the last one. */
function signatureIn(message: Buffer): Signature | undefined {
  try {
    const count = message.readUInt16BE(10);
    if (count === 0) return undefined;
    const before = [6, 8].reduce(
      (at, field) => placesOf(message, at, message.readUInt16BE(field)).end,
      endOfQuestions(message),
    );
    const last = placesOf(message, before, count).places.at(-1);
    if (last?.type !== type || last.class !== classAny) return undefined;
    if (message.readUInt32BE(last.data - 6) !== 0) throw new DnsFormatError("TSIG record has a TTL");
    const at = endOfName(message, last.data);
    const macSize = message.readUInt16BE(at + 8);
    const rest = at + 10 + macSize;
    const otherSize = message.readUInt16BE(rest + 4);
    if (rest + 6 + otherSize !== last.end) throw new DnsFormatError("TSIG record is not as long as it says");
    const unsigned = Buffer.from(message.subarray(0, last.start));
    message.copy(unsigned, 0, rest, rest + 2);
    unsigned.writeUInt16BE(count - 1, 10);
    return {
      name: plainNameAt(message, last.start),
      algorithm: plainNameAt(message, last.data),
      seconds: message.readUIntBE(at, 6),
      fudge: message.readUInt16BE(at + 6),
      mac: message.subarray(at + 10, rest),
      error: message.readUInt16BE(rest + 2),
      other: message.subarray(rest + 6, last.end),
      unsigned,
    };
  } catch (thrown) {
    if (thrown instanceof DnsFormatError) throw thrown;
    throw new DnsFormatError(`signed DNS message: ${messageOf(thrown)}`);
  }
}

/** RFC 8945 §4.3.3. */
const variables = (key: TsigKey, { seconds, fudge, error, other }: Fields): Buffer =>
  Buffer.concat([
    nameBytes(keyName(key)),
    uint16(classAny, 0, 0),
    nameBytes(key.algorithm),
    time48(seconds),
    uint16(fudge, error, other.length),
    other,
  ]);

const keyName = ({ name }: TsigKey) => name.toLowerCase().replace(/\.$/, "");

function macOf(parts: readonly Buffer[], { algorithm, secret }: TsigKey): Buffer {
  const mac = createHmac(algorithm.replace("hmac-", ""), secret);
  for (const part of parts) mac.update(part);
  return mac.digest();
}

function uint16(...numbers: number[]): Buffer {
  const bytes = Buffer.alloc(numbers.length * 2);
  for (const [nth, number] of numbers.entries()) bytes.writeUInt16BE(number, nth * 2);
  return bytes;
}

function time48(seconds: number): Buffer {
  const bytes = Buffer.alloc(6);
  bytes.writeUIntBE(seconds, 0, 6);
  return bytes;
}
