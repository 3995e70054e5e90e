/** Text that, without white space around it, is one of a few. */
import type { Sink } from "./sink.ts";
import { isSpace } from "./transfer.ts";

/** Around and within the text; more is work without content. */
const maxSpaces = 1000;

export class ExactText implements Sink {
  readonly #allowed: readonly string[];
  readonly #anyCase: boolean;
  readonly #longest: number;
  #text = "";
  #spaces = 0;
  /** White space that has come after the text and may stand inside of it. */
  #space = "";

  constructor(allowed: readonly string[], options: { anyCase: boolean }) {
    this.#allowed = allowed;
    this.#anyCase = options.anyCase;
    this.#longest = Math.max(...allowed.map((each) => each.length));
  }

  write(bytes: Uint8Array, start: number, end: number): boolean {
    for (let at = start; at < end; at++) {
      const octet = bytes[at] as number;
      if (isSpace(octet)) {
        if (++this.#spaces > maxSpaces) return false;
        if (this.#text !== "" && this.#space.length <= this.#longest) this.#space += String.fromCharCode(octet);
        continue;
      }
      this.#text += this.#space + String.fromCharCode(octet);
      this.#space = "";
      if (this.#text.length > this.#longest) return false;
    }
    return true;
  }

  end(): boolean {
    return this.#allowed.includes(this.#anyCase ? this.#text.toLowerCase() : this.#text);
  }
}
