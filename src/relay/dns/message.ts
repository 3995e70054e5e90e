/** The few DNS messages that a TXT lookup needs (RFC 1035 §4, RFC 2308, RFC 6891): bytes ↔ values. */
import type { TxtAnswer } from "../dkim/keys.ts";

export class DnsFormatError extends Error {
  override readonly name = "DnsFormatError";
}

/** `truncated` asks for the same question by TCP. */
export type TxtResponse = TxtAnswer | { kind: "truncated" };

const types = { cname: 5, soa: 6, txt: 16, opt: 41 };
const classIn = 1;
/** Fits one packet of any path (dnsflagday.net 2020). */
const udpBytes = 1232;
/** For a negative answer that does not say how long it holds. */
const defaultNegativeTtlSeconds = 30;

/** Undefined for a name that can't be asked for. `name` is ASCII, without a dot at its end. */
export function renderTxtQuery(id: number, name: string): Buffer | undefined {
  const labels = name.split(".").map((label) => Buffer.from(label, "latin1"));
  if (name.length > 253 || labels.some((label) => label.length === 0 || label.length > 63)) return undefined;
  const header = Buffer.alloc(12);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(0x0100, 2); // recursion desired
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(1, 10);
  const question = Buffer.concat([...labels.flatMap((label) => [Buffer.from([label.length]), label]), Buffer.alloc(5)]);
  question.writeUInt16BE(types.txt, question.length - 4);
  question.writeUInt16BE(classIn, question.length - 2);
  const opt = Buffer.alloc(11);
  opt.writeUInt16BE(types.opt, 1);
  opt.writeUInt16BE(udpBytes, 3);
  return Buffer.concat([header, question, opt]);
}

/** Undefined where the message is not the answer to this question. Throws DnsFormatError where it is and can't be read. */
export function parseTxtResponse(bytes: Buffer, asked: { id: number; name: string }): TxtResponse | undefined {
  if (bytes.length < 12 || bytes.readUInt16BE(0) !== asked.id) return undefined;
  const flags = bytes.readUInt16BE(2);
  if ((flags & 0x8000) === 0 || bytes.readUInt16BE(4) !== 1) return undefined;
  try {
    const question = readName(bytes, 12);
    const type = bytes.readUInt16BE(question.end);
    const forClass = bytes.readUInt16BE(question.end + 2);
    if (question.name !== asked.name.toLowerCase() || type !== types.txt || forClass !== classIn) return undefined;
    if ((flags & 0x0200) !== 0) return { kind: "truncated" };
    const code = flags & 0xf;
    if (code !== 0 && code !== 3) return { kind: "failed", why: `name server answered ${codeName(code)}` };
    return answerFrom(bytes, question.end + 4, asked.name.toLowerCase());
  } catch (thrown) {
    if (thrown instanceof RangeError) throw new DnsFormatError("DNS message ends early");
    throw thrown;
  }
}

function codeName(code: number): string {
  return { 1: "FORMERR", 2: "SERVFAIL", 4: "NOTIMP", 5: "REFUSED" }[code] ?? `code ${code}`;
}

function answerFrom(bytes: Buffer, start: number, asked: string): TxtAnswer {
  const answers = bytes.readUInt16BE(6);
  const records = readRecords(bytes, start, answers + bytes.readUInt16BE(8));
  let name = asked;
  let ttlSeconds = Number.POSITIVE_INFINITY;
  // a chain of aliases is in order, and ends where no record leads on
  for (const record of records.slice(0, answers)) {
    if (record.type !== types.cname || record.name !== name) continue;
    name = readName(bytes, record.start).name;
    ttlSeconds = Math.min(ttlSeconds, record.ttlSeconds);
  }
  const found = records.slice(0, answers).filter((each) => each.type === types.txt && each.name === name);
  if (found.length > 0) {
    const texts = found.map((each) => readStrings(bytes, each.start, each.end));
    return { kind: "found", texts, ttlSeconds: Math.min(ttlSeconds, ...found.map((each) => each.ttlSeconds)) };
  }
  // RFC 2308 §5: the lesser of the SOA's own TTL and its last field
  const soa = records.slice(answers).find((each) => each.type === types.soa);
  const holds = soa ? Math.min(soa.ttlSeconds, bytes.readUInt32BE(soa.end - 4)) : defaultNegativeTtlSeconds;
  return { kind: "none", ttlSeconds: Math.min(ttlSeconds, holds) };
}

interface Record {
  name: string;
  type: number;
  ttlSeconds: number;
  /** Where its data is. */
  start: number;
  end: number;
}

function readRecords(bytes: Buffer, from: number, count: number): Record[] {
  const records: Record[] = [];
  let at = from;
  for (let left = count; left > 0; left--) {
    const { name, end: fixed } = readName(bytes, at);
    const ttl = bytes.readUInt32BE(fixed + 4);
    const start = fixed + 10;
    at = start + bytes.readUInt16BE(fixed + 8);
    if (at > bytes.length) throw new DnsFormatError("DNS record ends early");
    if (bytes.readUInt16BE(fixed + 2) !== classIn) continue;
    // RFC 2181 §8: with the highest bit set it counts as 0
    records.push({ name, type: bytes.readUInt16BE(fixed), ttlSeconds: ttl < 2 ** 31 ? ttl : 0, start, end: at });
  }
  return records;
}

/** Lower-case, without a dot at its end; `end` is behind it. A pointer leads backwards only, so there are no circles. */
function readName(bytes: Buffer, from: number): { name: string; end: number } {
  const labels: string[] = [];
  let at = from;
  let end: number | undefined;
  let before = from;
  for (let length = 0; ; ) {
    const size = bytes.readUInt8(at);
    if (size === 0) return { name: labels.join("."), end: end ?? at + 1 };
    if (size >= 0xc0) {
      const target = bytes.readUInt16BE(at) & 0x3fff;
      if (target >= before) throw new DnsFormatError("DNS name points forwards");
      end ??= at + 2;
      before = target;
      at = target;
      continue;
    }
    length += size + 1;
    if (size > 63 || length > 254 || at + 1 + size > bytes.length) throw new DnsFormatError("malformed DNS name");
    labels.push(bytes.toString("latin1", at + 1, at + 1 + size).toLowerCase());
    at += 1 + size;
  }
}

/** The strings of one TXT record, joined. */
function readStrings(bytes: Buffer, from: number, end: number): string {
  let text = "";
  for (let at = from; at < end; ) {
    const size = bytes.readUInt8(at);
    if (at + 1 + size > end) throw new DnsFormatError("TXT record ends early");
    text += bytes.toString("latin1", at + 1, at + 1 + size);
    at += 1 + size;
  }
  return text;
}
