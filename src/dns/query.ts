/**
 * Questions to one name server and its whole reply, as verification and updates need them (RFC 1035
 * §4): who answers, with which right, and what stands in which section.
 */
import { nameBytes, type SeenType, type SeenValues, valueFrom } from "./values.ts";
import { classIn, DnsFormatError, endOfName, placesOf, readRecord, types, udpBytes } from "./wire.ts";

export interface Question {
  id: number;
  name: string;
  type: SeenType;
  /** Ask a resolver, and to be told whether it has validated the answer. */
  recursive?: boolean;
  /** It is to answer also what it can't validate (CD, RFC 4035 §3.2.2). */
  unchecked?: boolean;
}

/** Of a type that we read. */
export type SeenRecord = {
  [Type in SeenType]: {
    name: string;
    type: Type;
    ttlSeconds: number;
    value: SeenValues[Type];
    /** As it stands in the message, with its length; only of types that hold no name. */
    data: Buffer;
  };
}[SeenType];

export interface Reply {
  /** Its word, such as NOERROR; a number where it has none. */
  code: string;
  authoritative: boolean;
  truncated: boolean;
  /** The server says that it has validated the answer. */
  validated: boolean;
  answers: SeenRecord[];
  authorities: SeenRecord[];
  additionals: SeenRecord[];
}

const codes: Readonly<Record<number, string>> = {
  0: "NOERROR",
  1: "FORMERR",
  2: "SERVFAIL",
  3: "NXDOMAIN",
  4: "NOTIMP",
  5: "REFUSED",
  6: "YXDOMAIN",
  7: "YXRRSET",
  8: "NXRRSET",
  9: "NOTAUTH",
  10: "NOTZONE",
};

export const codeOf = (flags: number): string => codes[flags & 0xf] ?? `code ${flags & 0xf}`;

/** Header flags. */
const [recursionDesired, authenticData, checkingDisabled] = [0x0100, 0x0020, 0x0010];

export function renderQuestion(asked: Question): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt16BE(asked.id, 0);
  const flags = (asked.recursive ? recursionDesired | authenticData : 0) | (asked.unchecked ? checkingDisabled : 0);
  header.writeUInt16BE(flags, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(1, 10);
  // OPT (RFC 6891): root, type 41, how much we take
  const opt = Buffer.alloc(11);
  opt.writeUInt16BE(41, 1);
  opt.writeUInt16BE(udpBytes, 3);
  return Buffer.concat([header, questionBytes(asked), opt]);
}

function questionBytes({ name, type }: Pick<Question, "name" | "type">): Buffer {
  const kind = Buffer.alloc(4);
  kind.writeUInt16BE(types[type], 0);
  kind.writeUInt16BE(classIn, 2);
  return Buffer.concat([nameBytes(name), kind]);
}

/** As many as a message of an honest server has at most. */
const mostRecords = 500;

/**
 * Undefined where the message is not the reply to this question. Throws DnsFormatError where it is
 * and can't be read.
 */
export function readReply(bytes: Buffer, asked: Question): Reply | undefined {
  if (bytes.length < 12 || bytes.readUInt16BE(0) !== asked.id) return undefined;
  const flags = bytes.readUInt16BE(2);
  if ((flags & 0x8000) === 0) return undefined;
  const question = questionBytes(asked);
  const echoed = bytes.readUInt16BE(4) === 1;
  // a server that refuses may leave the question out
  if (!echoed && ((flags & 0xf) === 0 || bytes.readUInt16BE(4) !== 0)) return undefined;
  const from = echoed ? 12 + question.length : 12;
  // servers may answer in another case; no length and no type that is asked for is a letter
  const same = (text: Buffer) => text.toString("latin1").toLowerCase();
  if (echoed && same(bytes.subarray(12, from)) !== same(question)) return undefined;
  const truncated = (flags & 0x0200) !== 0;
  try {
    const [answers, authorities, additionals] = truncated ? [[], [], []] : sectionsOf(bytes, from);
    return {
      code: codeOf(flags),
      authoritative: (flags & 0x0400) !== 0,
      truncated,
      validated: (flags & authenticData) !== 0,
      answers,
      authorities,
      additionals,
    };
  } catch (thrown) {
    if (thrown instanceof RangeError) throw new DnsFormatError("DNS message ends early");
    throw thrown;
  }
}

function sectionsOf(bytes: Buffer, from: number): [SeenRecord[], SeenRecord[], SeenRecord[]] {
  const counts = [6, 8, 10].map((at) => bytes.readUInt16BE(at));
  if (counts.reduce((sum, each) => sum + each, 0) > mostRecords)
    throw new DnsFormatError(`DNS answer has more than ${mostRecords} records`);
  let at = from;
  const [answers = [], authorities = [], additionals = []] = counts.map((count) => {
    const { places, end } = placesOf(bytes, at, count);
    at = end;
    return places.flatMap((place) => {
      const type = typeNames.get(place.type);
      if (!type || place.class !== classIn) return [];
      const { name, data } = readRecord(bytes, place);
      const { ttlSeconds } = place;
      const raw = bytes.subarray(place.data - 2, place.end);
      return [{ name: `${name}.`, type, ttlSeconds, value: valueFrom(type, data), data: raw } as SeenRecord];
    });
  });
  return [answers, authorities, additionals];
}

const typeNames: ReadonlyMap<number, SeenType> = new Map(
  Object.entries(types).map(([name, number]) => [number, name as SeenType]),
);

/** Where the records of a message begin, whatever its question section holds. */
export function endOfQuestions(bytes: Buffer): number {
  let at = 12;
  for (let left = bytes.readUInt16BE(4); left > 0; left--) at = endOfName(bytes, at) + 4;
  return at;
}
