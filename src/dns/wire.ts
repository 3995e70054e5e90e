/**
 * Records in DNS messages: bytes ↔ values. dns-packet reads and writes each record. What it leaves
 * open is decided here: it goes on behind what it has read, whatever length the record states (a
 * TXT record that runs past the end of the message sends it back to the beginning), and it follows
 * any number of pointers. So each record is found by its stated length, is read with nothing behind
 * it, and has to fill that length; names are measured before they are read.
 */
import dnsPacket, { type Answer } from "dns-packet";
import { messageOf } from "../lib/text.ts";

export class DnsFormatError extends Error {
  override readonly name = "DnsFormatError";
}

export const types = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  DS: 43,
  TLSA: 52,
  CAA: 257,
} as const;
export const classIn = 1;

/** Fits one packet of any path (dnsflagday.net 2020). */
export const udpBytes = 1232;

/**
 * Labels and pointers of a name: it has 127 labels at most (RFC 1035 §2.3.4), and a pointer is of
 * use before each.
 */
const mostSteps = 254;

/** The codec of one record: exported by dns-packet, but its types do not have it. */
const recordCodec = (
  dnsPacket as typeof dnsPacket & { answer: { decode: { (bytes: Buffer, at: number): Answer; bytes: number } } }
).answer;

/** Which octet of a record's data begins a name that may have pointers. */
const nameInData: Readonly<Record<number, number>> = {
  [types.NS]: 0,
  [types.CNAME]: 0,
  [types.SOA]: 0,
  [types.PTR]: 0,
  [types.MX]: 2,
  [types.SRV]: 6,
};

/** A record in a message. */
export interface Place {
  type: number;
  class: number;
  ttlSeconds: number;
  start: number;
  /** Where its data is. */
  data: number;
  end: number;
}

/**
 * Where `count` records are, and where they end. Throws RangeError where the message ends before.
 */
export function placesOf(bytes: Buffer, from: number, count: number): { places: Place[]; end: number } {
  const places: Place[] = [];
  let at = from;
  for (let left = count; left > 0; left--) {
    const start = at;
    const fixed = endOfName(bytes, start);
    const data = fixed + 10;
    at = data + bytes.readUInt16BE(fixed + 8);
    if (at > bytes.length) throw new DnsFormatError("DNS record ends early");
    const ttl = bytes.readUInt32BE(fixed + 4);
    const [type, inClass] = [bytes.readUInt16BE(fixed), bytes.readUInt16BE(fixed + 2)];
    // RFC 2181 §8: with the highest bit set it counts as 0
    places.push({ type, class: inClass, ttlSeconds: ttl < 2 ** 31 ? ttl : 0, start, data, end: at });
  }
  return { places, end: at };
}

export function endOfName(bytes: Buffer, from: number): number {
  let at = from;
  for (let size = bytes.readUInt8(at); size !== 0; size = bytes.readUInt8(at)) {
    if (size >= 0xc0) return at + 2;
    at += 1 + size;
  }
  return at + 1;
}

/** Its owner's name, plain, and its data as dns-packet has it. */
export function readRecord(bytes: Buffer, place: Place): { name: string; data: unknown } {
  measureName(bytes, place.start);
  const inner = nameInData[place.type];
  if (inner !== undefined) measureName(bytes, place.data + inner);
  if (place.type === types.SOA) measureName(bytes, endOfName(bytes, place.data));
  let record: Answer;
  try {
    record = recordCodec.decode(bytes.subarray(0, place.end), place.start);
  } catch (thrown) {
    throw new DnsFormatError(`DNS record: ${messageOf(thrown)}`);
  }
  if (recordCodec.decode.bytes !== place.end - place.start || !("data" in record))
    throw new DnsFormatError("DNS record is not as long as it says");
  return { name: plainName(record.name), data: record.data };
}

/**
 * Throws for a name that takes more steps than one can have. Where pointers may lead, dns-packet
 * looks.
 */
function measureName(bytes: Buffer, from: number): void {
  let steps = 0;
  let at = from;
  for (let size = bytes.readUInt8(at); size !== 0; size = bytes.readUInt8(at)) {
    if (++steps > mostSteps) throw new DnsFormatError("DNS name has too many labels or pointers");
    at = size >= 0xc0 ? bytes.readUInt16BE(at) & 0x3fff : at + 1 + size;
  }
}

/** Lower-case, without a dot at its end; the root is "". */
export const plainName = (name: string) => (name === "." ? "" : name.toLowerCase());

/** The name that stands there, plain. */
export function plainNameAt(bytes: Buffer, at: number): string {
  measureName(bytes, at);
  return plainName(nameCodec.decode(bytes, at));
}

/** Whether the DNS has a place for it; a dot at its end does not count, and the root is one. */
export function isName(name: string): boolean {
  const plain = name.replace(/\.$/, "");
  return plain === "" || (plain.length <= 253 && plain.split(".").every((label) => /^[\x21-\x7e]{1,63}$/.test(label)));
}

/** A name on the wire, uncompressed. Throws for one that has no place there. */
export function nameBytes(name: string): Buffer {
  if (!isName(name)) throw new RangeError(`${name} is not a DNS name`);
  const plain = name.replace(/\.$/, "");
  // dns-packet gives the root two octets
  return plain === "" ? Buffer.alloc(1) : nameCodec.encode(plain);
}

const nameCodec = (
  dnsPacket as typeof dnsPacket & {
    name: { decode: (bytes: Buffer, at: number) => string; encode: (name: string) => Buffer };
  }
).name;
