/** Content-Transfer-Encoding, undone piece by piece (RFC 2045 §6). */
import { Base64Reader, transferAlphabet } from "./base64.ts";
import type { Sink } from "./sink.ts";

/** A sink that undoes `encoding` and forwards to `next`; undefined for an encoding nobody uses. */
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

/**
 * Strict: `=` stands before two hexadecimal digits or the end of the line; spaces at the end of a
 * line are taken off.
 */
class QuotedPrintable implements Sink {
  readonly #next: Sink;
  /** Where an escape stands: nothing, after `=`, after `=` and CR, or after `=` and a digit. */
  #escape: "none" | "begun" | "cr" | "digit" = "none";
  #digit = 0;
  /** Spaces and tabs whose line may end here. */
  readonly #spaces = new Uint8Array(maxSpaceRun);
  #spaceCount = 0;
  #out: Uint8Array = new Uint8Array(4096);
  #length = 0;

  constructor(next: Sink) {
    this.#next = next;
  }

  write(bytes: Uint8Array, start: number, end: number): boolean {
    this.#length = 0;
    const room = maxSpaceRun + end - start;
    if (this.#out.length < room) this.#out = new Uint8Array(room);
    for (let at = start; at < end; at++) {
      if (!this.#octet(bytes[at] as number)) return false;
    }
    return this.#length === 0 || this.#next.write(this.#out, 0, this.#length);
  }

  end(): boolean {
    // an `=` at the very end is a soft line break; spaces there are taken off
    return (this.#escape === "none" || this.#escape === "begun") && this.#next.end();
  }

  #octet(octet: number): boolean {
    if (this.#escape !== "none") return this.#escaped(octet);
    if (octet === 32 || octet === 9) {
      if (this.#spaceCount === maxSpaceRun) return false;
      this.#spaces[this.#spaceCount++] = octet;
      return true;
    }
    if (this.#spaceCount > 0) {
      if (octet !== 13 && octet !== 10) {
        this.#out.set(this.#spaces.subarray(0, this.#spaceCount), this.#length);
        this.#length += this.#spaceCount;
      }
      this.#spaceCount = 0;
    }
    if (octet === 61) this.#escape = "begun";
    else this.#out[this.#length++] = octet;
    return true;
  }

  #escaped(octet: number): boolean {
    const was = this.#escape;
    this.#escape = "none";
    if (was === "cr") return octet === 10;
    if (was === "begun" && octet === 13) {
      this.#escape = "cr";
      return true;
    }
    const digit = hexDigit(octet);
    if (digit === undefined) return false;
    if (was === "begun") {
      this.#escape = "digit";
      this.#digit = digit;
    } else this.#out[this.#length++] = 16 * this.#digit + digit;
    return true;
  }
}

function hexDigit(octet: number): number | undefined {
  if (octet >= 48 && octet <= 57) return octet - 48;
  const letter = octet | 32;
  return letter >= 97 && letter <= 102 ? letter - 87 : undefined;
}

export function isSpace(octet: number): boolean {
  return octet === 32 || (octet >= 9 && octet <= 13);
}
