/** Content-Transfer-Encoding, undone piece by piece (RFC 2045 §6). */
import { Base64Reader, transferAlphabet } from "./base64.ts";
import type { Sink } from "./sink.ts";

/** A sink that undoes `encoding` and hands on to `next`; undefined for an encoding nobody uses. */
export function undoTransferEncoding(encoding: string, next: Sink): Sink | undefined {
  switch (encoding.trim().toLowerCase()) {
    case "":
    case "7bit":
    case "8bit":
    case "binary":
      return next;
    case "base64":
      return new Base64Transfer(next);
    case "quoted-printable":
      return new QuotedPrintable(next);
    default:
      return undefined;
  }
}

class Base64Transfer implements Sink {
  readonly #next: Sink;
  readonly #base64 = new Base64Reader(transferAlphabet);
  #padding = 0;

  constructor(next: Sink) {
    this.#next = next;
  }

  write(bytes: Uint8Array, start: number, end: number): boolean {
    let at = start;
    if (this.#padding === 0) {
      at = this.#base64.read(bytes, start, end);
      if (!this.#base64.pass(this.#next)) return false;
    }
    for (; at < end; at++) {
      const octet = bytes[at] as number;
      if (octet === 61) this.#padding++;
      else if (!isSpace(octet)) return false;
    }
    return this.#padding <= 2;
  }

  end(): boolean {
    return this.#base64.finish(this.#padding) && this.#base64.pass(this.#next) && this.#next.end();
  }
}

const maxSpaceRun = 1000;

/** Strict: `=` stands before two hexadecimal digits or the end of the line; spaces at the end of a line are taken off. */
class QuotedPrintable implements Sink {
  readonly #next: Sink;
  /** What has come after an unfinished `=`, or spaces whose line may end here. */
  #held = "";
  #out: Uint8Array = new Uint8Array(4096);
  #length = 0;

  constructor(next: Sink) {
    this.#next = next;
  }

  write(bytes: Uint8Array, start: number, end: number): boolean {
    this.#length = 0;
    const room = this.#held.length + end - start;
    if (this.#out.length < room) this.#out = new Uint8Array(room);
    for (let at = start; at < end; at++) {
      if (!this.#octet(bytes[at] as number)) return false;
    }
    return this.#length === 0 || this.#next.write(this.#out, 0, this.#length);
  }

  end(): boolean {
    // an `=` at the very end is a soft line break; spaces there are taken off
    return (this.#held === "" || this.#held === "=" || this.#held.trim() === "") && this.#next.end();
  }

  #octet(octet: number): boolean {
    const letter = String.fromCharCode(octet);
    if (this.#held.startsWith("=")) {
      this.#held += letter;
      if (this.#held === "=\r") return true;
      if (this.#held.length < 3) return /^=[0-9A-Fa-f]$/.test(this.#held);
      const escaped = this.#held;
      this.#held = "";
      if (escaped === "=\r\n") return true;
      if (!/^=[0-9A-Fa-f]{2}$/.test(escaped)) return false;
      this.#out[this.#length++] = Number.parseInt(escaped.slice(1), 16);
      return true;
    }
    if (octet === 32 || octet === 9) {
      this.#held += letter;
      return this.#held.length <= maxSpaceRun;
    }
    if (octet === 13 || octet === 10) this.#held = "";
    for (let at = 0; at < this.#held.length; at++) this.#out[this.#length++] = this.#held.charCodeAt(at);
    this.#held = octet === 61 ? "=" : "";
    if (octet !== 61) this.#out[this.#length++] = octet;
    return true;
  }
}

export function isSpace(octet: number): boolean {
  return octet === 32 || (octet >= 9 && octet <= 13);
}
