/** Postfix's socketmap: netstrings (`5:hello,`), the question `NAME KEY`, the answers below. */

import { ProtocolError } from "./conversation.ts";

export interface Question {
  /** Which table, as the last part of `socketmap:unix:PATH:NAME` says. */
  map: string;
  key: string;
}

export type Answer =
  | { kind: "ok"; value: string }
  | { kind: "notFound" }
  /** Postfix puts off what it was doing. */
  | { kind: "temporary"; why: string };

/** A key is an address or a destination: 1,000 bytes are plenty. */
export const maxQuestionBytes = 4096;

/** Cuts a byte stream into netstrings; holds at most one unfinished. */
export class NetstringReader {
  #rest: Buffer = Buffer.alloc(0);

  /** Throws ProtocolError for anything that is no netstring of at most maxQuestionBytes. */
  push(chunk: Buffer): Buffer[] {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const found: Buffer[] = [];
    for (let next = cut(bytes); next; next = cut(bytes)) {
      found.push(next.content);
      bytes = next.rest;
    }
    this.#rest = Buffer.from(bytes);
    return found;
  }
}

/** Undefined while bytes are missing. */
function cut(bytes: Buffer): { content: Buffer; rest: Buffer } | undefined {
  const colon = bytes.indexOf(0x3a);
  const digits = bytes.toString("latin1", 0, colon < 0 ? Math.min(bytes.length, 8) : Math.min(colon, 8));
  if (!/^(0|[1-9][0-9]{0,3})?$/.test(digits) || (colon >= 0 && digits === "")) {
    throw new ProtocolError("a netstring begins with its length");
  }
  if (colon < 0) return undefined;
  const length = Number(digits);
  if (length > maxQuestionBytes) throw new ProtocolError(`a netstring has more than ${maxQuestionBytes} bytes`);
  const end = colon + 1 + length;
  if (bytes.length <= end) return undefined;
  if (bytes[end] !== 0x2c) throw new ProtocolError("a netstring ends in a comma");
  return { content: bytes.subarray(colon + 1, end), rest: bytes.subarray(end + 1) };
}

export function parseQuestion(content: Buffer): Question {
  const text = content.toString("latin1");
  const blank = text.indexOf(" ");
  if (blank <= 0) throw new ProtocolError("a question is a name, a blank and a key");
  return { map: text.slice(0, blank), key: text.slice(blank + 1) };
}

export function renderAnswer(answer: Answer): Buffer {
  switch (answer.kind) {
    case "ok":
      return netstring(`OK ${answer.value}`);
    case "notFound":
      return netstring("NOTFOUND ");
    case "temporary":
      return netstring(`TEMP ${answer.why}`);
  }
}

export function netstring(text: string): Buffer {
  const content = Buffer.from(text, "latin1");
  return Buffer.concat([Buffer.from(`${content.length}:`), content, Buffer.from(",")]);
}
