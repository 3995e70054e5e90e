/**
 * The head of DNS messages: what is asked, and whether an answer is to that (RFC 1035 §4.1, RFC
 * 6891). Pure.
 */
import { classIn, nameBytes, types, udpBytes } from "./wire.ts";

export interface AskedFor {
  id: number;
  name: string;
  type: keyof typeof types;
  /** Ask a resolver, and to be told whether it has validated the answer (RFC 6840 §5.7). */
  recursive?: boolean;
  /** It is to answer also what it can't validate (CD, RFC 4035 §3.2.2). */
  unchecked?: boolean;
}

/** Header flags. */
export const flag = {
  response: 0x8000,
  authoritative: 0x0400,
  truncated: 0x0200,
  recursionDesired: 0x0100,
  /** The server says that it has validated the answer. */
  authenticData: 0x0020,
  checkingDisabled: 0x0010,
} as const;

export function renderQuestion(asked: AskedFor): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt16BE(asked.id, 0);
  const recursive = asked.recursive ? flag.recursionDesired | flag.authenticData : 0;
  header.writeUInt16BE(recursive | (asked.unchecked ? flag.checkingDisabled : 0), 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(1, 10);
  // OPT: root, type 41, how much we take
  const opt = Buffer.alloc(11);
  opt.writeUInt16BE(41, 1);
  opt.writeUInt16BE(udpBytes, 3);
  return Buffer.concat([header, questionBytes(asked), opt]);
}

function questionBytes({ name, type }: Pick<AskedFor, "name" | "type">): Buffer {
  const kind = Buffer.alloc(4);
  kind.writeUInt16BE(types[type], 0);
  kind.writeUInt16BE(classIn, 2);
  return Buffer.concat([nameBytes(name), kind]);
}

export interface Head {
  flags: number;
  /** Where the records begin. */
  from: number;
}

/** Undefined where the message is not the answer to this question. */
export function headOf(bytes: Buffer, asked: AskedFor): Head | undefined {
  if (bytes.length < 12 || bytes.readUInt16BE(0) !== asked.id) return undefined;
  const flags = bytes.readUInt16BE(2);
  const questions = bytes.readUInt16BE(4);
  if ((flags & flag.response) === 0) return undefined;
  // a server that refuses may leave the question out
  if (questions === 0 && !["NOERROR", "NXDOMAIN"].includes(codeOf(flags))) return { flags, from: 12 };
  if (questions !== 1) return undefined;
  const question = questionBytes(asked);
  const from = 12 + question.length;
  // servers may answer in another case; no length and no type that is asked for is a letter
  const same = (text: Buffer) => text.toString("latin1").toLowerCase();
  return same(bytes.subarray(12, from)) === same(question) ? { flags, from } : undefined;
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

/** Its word, such as NOERROR; a number where it has none. */
export const codeOf = (flags: number): string => codes[flags & 0xf] ?? `code ${flags & 0xf}`;
