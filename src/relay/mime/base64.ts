/** Strict standard base64 (RFC 4648 §4), decoded piece by piece. */
import type { Sink } from "./sink.ts";

const skipped = 64;
const foreign = 255;

function alphabet(alsoSkipped: string): Uint8Array {
  const table = new Uint8Array(256).fill(foreign);
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (let value = 0; value < 64; value++) table[letters.charCodeAt(value)] = value;
  for (const letter of `\r\n${alsoSkipped}`) table[letter.charCodeAt(0)] = skipped;
  return table;
}

/** Line ends are skipped. */
export const armorAlphabet = alphabet("");
/** Line ends, spaces and tabs are skipped (RFC 2045 §6.8). */
export const transferAlphabet = alphabet(" \t");

export class Base64Reader {
  readonly #table: Uint8Array;
  #bits = 0;
  /** Letters of the unfinished group of four. */
  #letters = 0;
  #out = new Uint8Array(4096);
  #length = 0;

  constructor(table: Uint8Array) {
    this.#table = table;
  }

  /**
   * Decodes up to `end` or the first byte that has no place in the text, and says where it stopped;
   * `take` has what came out.
   */
  read(bytes: Uint8Array, start: number, end: number): number {
    const table = this.#table;
    if (this.#out.length < end - start) this.#out = new Uint8Array(end - start);
    const out = this.#out;
    let bits = this.#bits;
    let letters = this.#letters;
    let length = 0;
    let at = start;
    for (; at < end; at++) {
      const value = table[bytes[at] as number] as number;
      if (value < 64) {
        bits = (bits << 6) | value;
        letters++;
        if (letters === 4) {
          out[length++] = bits >> 16;
          out[length++] = bits >> 8;
          out[length++] = bits;
          bits = 0;
          letters = 0;
        }
      } else if (value === foreign) break;
    }
    this.#bits = bits;
    this.#letters = letters;
    this.#length = length;
    return at;
  }

  /** Writes to `sink` what the last `read` or `finish` decoded. */
  pass(sink: Sink): boolean {
    return this.#length === 0 || sink.write(this.#out, 0, this.#length);
  }

  /**
   * Decodes the unfinished group. False where that many = signs don't complete it, or it has bits
   * that mean nothing.
   */
  finish(padding: number): boolean {
    this.#length = 0;
    if (this.#letters === 0) return padding === 0;
    if (this.#letters === 2 && padding === 2 && (this.#bits & 0xf) === 0) {
      this.#out[0] = this.#bits >> 4;
      this.#length = 1;
      return true;
    }
    if (this.#letters === 3 && padding === 1 && (this.#bits & 0x3) === 0) {
      this.#out[0] = this.#bits >> 10;
      this.#out[1] = this.#bits >> 2;
      this.#length = 2;
      return true;
    }
    return false;
  }
}
