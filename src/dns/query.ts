/**
 * Questions to one name server and its whole reply, as verification and updates need them (RFC 1035
 * §4): who answers, with which right, and what stands in which section.
 */
import { type AskedFor, codeOf, flag, headOf } from "./question.ts";
import { type SeenType, type SeenValues, valueFrom } from "./values.ts";
import { classIn, DnsFormatError, endOfName, placesOf, readRecord, types } from "./wire.ts";

/** Of a type whose values are read. */
export type Question = AskedFor & { type: SeenType };

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

/** As many as a message of an honest server has at most. */
const mostRecords = 500;

/**
 * Undefined where the message is not the reply to this question. Throws DnsFormatError where it is
 * and can't be read.
 */
export function readReply(bytes: Buffer, asked: Question): Reply | undefined {
  const head = headOf(bytes, asked);
  if (!head) return undefined;
  const { flags, from } = head;
  const truncated = (flags & flag.truncated) !== 0;
  try {
    const [answers, authorities, additionals] = truncated ? [[], [], []] : sectionsOf(bytes, from);
    return {
      code: codeOf(flags),
      authoritative: (flags & flag.authoritative) !== 0,
      truncated,
      validated: (flags & flag.authenticData) !== 0,
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
