/** The few DNS messages that a lookup needs (RFC 1035 §4, RFC 2308, RFC 6891, RFC 6698 §2.1): bytes ↔ values. */

export class DnsFormatError extends Error {
  override readonly name = "DnsFormatError";
}

/** What a record of each type says. */
export interface RecordData {
  /** Addresses are not read, only that there are some. */
  A: undefined;
  AAAA: undefined;
  /** Host is lower-case, without a dot at its end; "" is the null MX. */
  MX: { preference: number; host: string };
  /** Its strings joined, latin1. */
  TXT: string;
  /** Bytes: the length of the certificate or digest. */
  TLSA: { usage: number; selector: number; matching: number; bytes: number };
}
export type RecordType = keyof RecordData;

/** `secure`: the resolver says that it has validated all of this answer (AD, RFC 4035 §3.2.3), that there is nothing too. */
export type DnsAnswer<Type extends RecordType> =
  /** `name` is what the name asked for is an alias of, or itself. */
  | { kind: "found"; secure: boolean; name: string; records: readonly RecordData[Type][]; ttlSeconds: number }
  | { kind: "none"; secure: boolean; ttlSeconds: number }
  | { kind: "failed"; why: string };

/** `truncated` asks for the same question by TCP. */
export type DnsResponse<Type extends RecordType> = DnsAnswer<Type> | { kind: "truncated" };

export interface DnsQuestion<Type extends RecordType = RecordType> {
  id: number;
  name: string;
  type: Type;
}

const types = { A: 1, CNAME: 5, SOA: 6, MX: 15, TXT: 16, AAAA: 28, OPT: 41, TLSA: 52 } as const;
const classIn = 1;
/** Fits one packet of any path (dnsflagday.net 2020). */
const udpBytes = 1232;
/** For a negative answer that does not say how long it holds. */
const defaultNegativeTtlSeconds = 30;

const readers: { [Type in RecordType]: (bytes: Buffer, start: number, end: number) => RecordData[Type] } = {
  A: () => undefined,
  AAAA: () => undefined,
  MX: (bytes, start) => ({ preference: bytes.readUInt16BE(start), host: readName(bytes, start + 2).name }),
  TXT: readStrings,
  TLSA: (bytes, start, end) => {
    if (end - start < 3) throw new DnsFormatError("TLSA record ends early");
    const [usage = 0, selector = 0, matching = 0] = bytes.subarray(start, start + 3);
    return { usage, selector, matching, bytes: end - start - 3 };
  },
};

/** Undefined for a name that can't be asked for. `name` is ASCII, without a dot at its end. */
export function renderQuery({ id, name, type }: DnsQuestion): Buffer | undefined {
  const labels = name.split(".").map((label) => Buffer.from(label, "latin1"));
  if (name.length > 253 || labels.some((label) => label.length === 0 || label.length > 63)) return undefined;
  const header = Buffer.alloc(12);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(0x0120, 2); // recursion desired; AD asks to be told whether the answer was validated (RFC 6840 §5.7)
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(1, 10);
  const question = Buffer.concat([...labels.flatMap((label) => [Buffer.from([label.length]), label]), Buffer.alloc(5)]);
  question.writeUInt16BE(types[type], question.length - 4);
  question.writeUInt16BE(classIn, question.length - 2);
  const opt = Buffer.alloc(11);
  opt.writeUInt16BE(types.OPT, 1);
  opt.writeUInt16BE(udpBytes, 3);
  return Buffer.concat([header, question, opt]);
}

/** Undefined where the message is not the answer to this question. Throws DnsFormatError where it is and can't be read. */
export function parseResponse<Type extends RecordType>(
  bytes: Buffer,
  asked: DnsQuestion<Type>,
): DnsResponse<Type> | undefined {
  if (bytes.length < 12 || bytes.readUInt16BE(0) !== asked.id) return undefined;
  const flags = bytes.readUInt16BE(2);
  if ((flags & 0x8000) === 0 || bytes.readUInt16BE(4) !== 1) return undefined;
  try {
    const question = readName(bytes, 12);
    const type = bytes.readUInt16BE(question.end);
    const forClass = bytes.readUInt16BE(question.end + 2);
    if (question.name !== asked.name.toLowerCase() || type !== types[asked.type] || forClass !== classIn)
      return undefined;
    if ((flags & 0x0200) !== 0) return { kind: "truncated" };
    const code = flags & 0xf;
    if (code !== 0 && code !== 3) return { kind: "failed", why: `name server answered ${codeName(code)}` };
    return answerFrom(bytes, question.end + 4, asked.name.toLowerCase(), asked.type);
  } catch (thrown) {
    if (thrown instanceof RangeError) throw new DnsFormatError("DNS message ends early");
    throw thrown;
  }
}

function codeName(code: number): string {
  return { 1: "FORMERR", 2: "SERVFAIL", 4: "NOTIMP", 5: "REFUSED" }[code] ?? `code ${code}`;
}

function answerFrom<Type extends RecordType>(bytes: Buffer, start: number, asked: string, type: Type): DnsAnswer<Type> {
  const secure = (bytes.readUInt16BE(2) & 0x0020) !== 0;
  const answers = bytes.readUInt16BE(6);
  const all = readRecords(bytes, start, answers + bytes.readUInt16BE(8));
  let name = asked;
  let ttlSeconds = Number.POSITIVE_INFINITY;
  // resolvers may send the aliases in any order (RFC 1034 §4.3.2 promises none); each is followed once, so a loop ends
  const aliases = new Map<string, RawRecord>();
  const answered = all.slice(0, answers);
  for (const record of answered) {
    if (record.type === types.CNAME && !aliases.has(record.name)) aliases.set(record.name, record);
  }
  for (let alias = aliases.get(name); alias; alias = aliases.get(name)) {
    aliases.delete(name);
    name = readName(bytes, alias.start).name;
    ttlSeconds = Math.min(ttlSeconds, alias.ttlSeconds);
  }
  const found = answered.filter((each) => each.type === types[type] && each.name === name);
  if (found.length > 0) {
    const records = found.map((each) => readers[type](bytes, each.start, each.end));
    const shortest = Math.min(ttlSeconds, ...found.map((each) => each.ttlSeconds));
    return { kind: "found", secure, name, records, ttlSeconds: shortest };
  }
  // RFC 2308 §5: the lesser of the SOA's own TTL and its last field
  const soa = all.slice(answers).find((each) => each.type === types.SOA);
  const holds = soa ? Math.min(soa.ttlSeconds, bytes.readUInt32BE(soa.end - 4)) : defaultNegativeTtlSeconds;
  return { kind: "none", secure, ttlSeconds: Math.min(ttlSeconds, holds) };
}

interface RawRecord {
  name: string;
  type: number;
  ttlSeconds: number;
  /** Where its data is. */
  start: number;
  end: number;
}

function readRecords(bytes: Buffer, from: number, count: number): RawRecord[] {
  const records: RawRecord[] = [];
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

/** More than a name has labels; each message may have thousands of names. */
const mostPointers = 127;

/** Lower-case, without a dot at its end; `end` is behind it. A pointer leads backwards only, so there are no circles. */
function readName(bytes: Buffer, from: number): { name: string; end: number } {
  const labels: string[] = [];
  let at = from;
  let end: number | undefined;
  let before = from;
  let pointers = 0;
  for (let length = 0; ; ) {
    const size = bytes.readUInt8(at);
    if (size === 0) return { name: labels.join("."), end: end ?? at + 1 };
    if (size >= 0xc0) {
      const target = bytes.readUInt16BE(at) & 0x3fff;
      if (target >= before) throw new DnsFormatError("DNS name points forwards");
      if (++pointers > mostPointers) throw new DnsFormatError("DNS name has too many pointers");
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
