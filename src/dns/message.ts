/**
 * The few DNS messages that a lookup needs (RFC 1035 §4, RFC 2308, RFC 6891, RFC 6698 §2.1): bytes
 * ↔ values.
 */
import type { MxData, TlsaData } from "dns-packet";
import { codeOf, flag, headOf, renderQuestion } from "./question.ts";
import { classIn, DnsFormatError, isName, type Place, placesOf, plainName, readRecord, types } from "./wire.ts";

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
export const renderQuery = (asked: DnsQuestion): Buffer | undefined =>
  asked.name !== "" && isName(asked.name) && !asked.name.endsWith(".")
    ? renderQuestion({ ...asked, recursive: true })
    : undefined;

/**
 * Undefined where the message is not the answer to this question. Throws DnsFormatError where it is
 * and can't be read.
 */
export function parseResponse<Type extends RecordType>(
  bytes: Buffer,
  asked: DnsQuestion<Type>,
): DnsResponse<Type> | undefined {
  const head = headOf(bytes, asked);
  if (!head) return undefined;
  const { flags, from } = head;
  if ((flags & flag.truncated) !== 0) return { kind: "truncated" };
  const code = codeOf(flags);
  if (code !== "NOERROR" && code !== "NXDOMAIN") return { kind: "failed", why: `name server answered ${code}` };
  try {
    return answerFrom(bytes, from, asked);
  } catch (thrown) {
    if (thrown instanceof RangeError) throw new DnsFormatError("DNS message ends early");
    throw thrown;
  }
}

function answerFrom<Type extends RecordType>(bytes: Buffer, from: number, asked: DnsQuestion<Type>): DnsAnswer<Type> {
  const secure = (bytes.readUInt16BE(2) & flag.authenticData) !== 0;
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
