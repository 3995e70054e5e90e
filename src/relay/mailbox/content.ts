/**
 * A message as it is written into mailboxes, held in memory as it streams by. Headers that delivery
 * takes away are left out, as Postfix does on its way to a mailbox.
 */
import { removedAtDelivery } from "../../pod/postfix.ts";

const isRemoved = new Set(removedAtDelivery.map((name) => name.toLowerCase()));
const dot = Buffer.from(".");
const lineEnd = Buffer.from("\r\n");

/** As Dovecot stores a message: LF alone, also at its end. */
export interface StoredText {
  text: Buffer;
  lines: number;
}

export class Content {
  readonly #parts: Buffer[] = [];
  #headers = "";
  #bytes = 0;
  /** Made once for all recipients, when all of it is there. */
  #stored: StoredText | undefined;

  get bytes(): number {
    return this.#bytes;
  }

  /** `value` as a milter has it: latin1, with the space after the colon, folds with LF. */
  header(name: string, value: string): void {
    if (isRemoved.has(name.trim().toLowerCase())) return;
    const line = `${name}:${value.replace(/\r?\n/g, "\r\n")}\r\n`;
    this.#headers += line;
    this.#bytes += line.length;
  }

  body(chunk: Buffer): void {
    this.#parts.push(chunk);
    this.#bytes += chunk.length;
  }

  /** `first`: headers of one recipient's copy. To be called when nothing more comes. */
  stored(first: readonly string[]): StoredText {
    this.#stored ??= withLf(this.#text());
    const headers = first.map((each) => `${each}\n`).join("");
    return {
      text: Buffer.concat([Buffer.from(headers, "latin1"), this.#stored.text]),
      lines: first.length + this.#stored.lines,
    };
  }

  /** For the DATA command: dot-stuffed, and ends with the line of a dot (RFC 5321 §4.5.2). */
  stuffed(): Buffer {
    const text = this.#text();
    const pieces: Buffer[] = [];
    let start = 0;
    for (let at = text[0] === 0x2e ? 0 : dotAfterLine(text, 0); at >= 0; at = dotAfterLine(text, at)) {
      pieces.push(text.subarray(start, at), dot);
      start = at;
    }
    const rest = text.subarray(start);
    return Buffer.concat([...pieces, rest, ...(text.subarray(-2).equals(lineEnd) ? [] : [lineEnd]), dot, lineEnd]);
  }

  #text(): Buffer {
    return Buffer.concat([Buffer.from(`${this.#headers}\r\n`, "latin1"), ...this.#parts]);
  }
}

/** Where the next line begins with a dot; -1 where none does. */
function dotAfterLine(text: Buffer, from: number): number {
  const at = text.indexOf("\n.", from, "latin1");
  return at < 0 ? -1 : at + 1;
}

export function withLf(text: Buffer): StoredText {
  const lf = text.toString("latin1").replaceAll("\r\n", "\n");
  const whole = lf.endsWith("\n") ? lf : `${lf}\n`;
  return { text: Buffer.from(whole, "latin1"), lines: whole.split("\n").length - 1 };
}
