/**
 * The few DNS messages that a lookup needs (RFC 1035 §4, RFC 2308, RFC 6891, RFC 6698 §2.1): bytes
 * ↔ values.
 */
import dnsPacket, { type MxData, type TlsaData } from "dns-packet";
import { classIn, DnsFormatError, type Place, placesOf, plainName, readRecord, types, udpBytes } from "./wire.ts";

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

/**
 * `secure`: the resolver says that it has validated all of this answer (AD, RFC 4035 §3.2.3), that
 * there is nothing too.
 */
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

/** For a negative answer that does not say how long it holds. */
const defaultNegativeTtlSeconds = 30;
/**
 * Aliases and records of the type asked for. Real answers have dozens at most, a message has room
 * for thousands.
 */
const mostRecords = 500;
const readers: { [Type in RecordType]: (data: never) => RecordData[Type] } = {
  A: () => undefined,
  AAAA: () => undefined,
  MX: ({ preference = 0, exchange }: MxData) => ({ preference, host: plainName(exchange) }),
  TXT: (strings: Buffer[]) => Buffer.concat(strings).toString("latin1"),
  TLSA: ({ usage, selector, matchingType, certificate }: TlsaData) => {
    return { usage, selector, matching: matchingType, bytes: certificate.length };
  },
};

/** Undefined for a name that can't be asked for. `name` is ASCII, without a dot at its end. */
export function renderQuery({ id, name, type }: DnsQuestion): Buffer | undefined {
  if (name.length > 253 || !name.split(".").every((label) => /^[\x21-\x7e]{1,63}$/.test(label))) return undefined;
  const opt = { type: "OPT", name: ".", udpPayloadSize: udpBytes, flags: 0 } as const;
  return dnsPacket.encode({
    type: "query",
    id,
    // AD asks to be told whether the answer was validated (RFC 6840 §5.7)
    flags: dnsPacket.RECURSION_DESIRED | dnsPacket.AUTHENTIC_DATA,
    questions: [{ name, type }],
    additionals: [{ ...opt, extendedRcode: 0, ednsVersion: 0, flag_do: false, options: [] }],
  });
}

/**
 * Undefined where the message is not the answer to this question. Throws DnsFormatError where it is
 * and can't be read.
 */
export function parseResponse<Type extends RecordType>(
  bytes: Buffer,
  asked: DnsQuestion<Type>,
): DnsResponse<Type> | undefined {
  if (bytes.length < 12 || bytes.readUInt16BE(0) !== asked.id) return undefined;
  const flags = bytes.readUInt16BE(2);
  if ((flags & 0x8000) === 0 || bytes.readUInt16BE(4) !== 1) return undefined;
  const question = questionText(asked);
  const end = 12 + question.length;
  // servers may answer in another case; no length and no type that is asked for is a letter
  if (bytes.toString("latin1", 12, end).toLowerCase() !== question) return undefined;
  if ((flags & 0x0200) !== 0) return { kind: "truncated" };
  const code = flags & 0xf;
  if (code !== 0 && code !== 3) return { kind: "failed", why: `name server answered ${codeName(code)}` };
  try {
    return answerFrom(bytes, end, asked);
  } catch (thrown) {
    if (thrown instanceof RangeError) throw new DnsFormatError("DNS message ends early");
    throw thrown;
  }
}

/** A question as it stands in a message, in latin1 and lower case. */
function questionText({ name, type }: DnsQuestion): string {
  const labels = name.split(".").map((label) => String.fromCharCode(label.length) + label.toLowerCase());
  return `${labels.join("")}\0\0${String.fromCharCode(types[type])}\0${String.fromCharCode(classIn)}`;
}

function codeName(code: number): string {
  return { 1: "FORMERR", 2: "SERVFAIL", 4: "NOTIMP", 5: "REFUSED" }[code] ?? `code ${code}`;
}

function answerFrom<Type extends RecordType>(bytes: Buffer, from: number, asked: DnsQuestion<Type>): DnsAnswer<Type> {
  const secure = (bytes.readUInt16BE(2) & 0x0020) !== 0;
  const isInternet = (place: Place) => place.class === classIn;
  const { places: all, end } = placesOf(bytes, from, bytes.readUInt16BE(6));
  const places = all.filter(isInternet);
  const authorities = placesOf(bytes, end, bytes.readUInt16BE(8)).places.filter(isInternet);
  const wanted = places.filter((each) => each.type === types.CNAME || each.type === types[asked.type]);
  if (wanted.length > mostRecords) throw new DnsFormatError(`DNS answer has more than ${mostRecords} records`);
  // dns-packet puts U+FFFD in place of what is not UTF-8, so two such names could look like one; no
  // host has such a name
  const records = wanted
    .map((place) => ({ place, ...readRecord(bytes, place) }))
    .filter((each) => !each.name.includes("\ufffd"));
  let name = asked.name.toLowerCase();
  let ttlSeconds = Number.POSITIVE_INFINITY;
  // resolvers may send the aliases in any order (RFC 1034 §4.3.2 promises none); each is followed
  // once, so a loop ends
  const aliases = new Map<string, { place: Place; data: unknown }>();
  for (const record of records) {
    if (record.place.type === types.CNAME && !aliases.has(record.name)) aliases.set(record.name, record);
  }
  for (let alias = aliases.get(name); alias; alias = aliases.get(name)) {
    aliases.delete(name);
    name = plainName(alias.data as string);
    ttlSeconds = Math.min(ttlSeconds, alias.place.ttlSeconds);
  }
  const found = records.filter((each) => each.place.type === types[asked.type] && each.name === name);
  if (found.length > 0) {
    const shortest = Math.min(ttlSeconds, ...found.map((each) => each.place.ttlSeconds));
    const read = found.map((each) => readers[asked.type](each.data as never));
    return { kind: "found", secure, name, records: read, ttlSeconds: shortest };
  }
  // RFC 2308 §5: the lesser of the SOA's own TTL and its last field
  const soa = authorities.find((each) => each.type === types.SOA && each.end - each.data >= 22);
  const holds = soa ? Math.min(soa.ttlSeconds, bytes.readUInt32BE(soa.end - 4)) : defaultNegativeTtlSeconds;
  return { kind: "none", secure, ttlSeconds: Math.min(ttlSeconds, holds) };
}
