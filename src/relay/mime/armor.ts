/**
 * ASCII armor of an encrypted message (RFC 9580 §6.2), as other chatmail relays read it, see
 * chatmail protocol §4.1: no header but one `Version: ` line, CRLF ends, base64, at most one
 * checksum line. The checksum is not computed. Stricter than the field in one thing: what may
 * follow the base64 is a checksum's five characters on a line of their own and nothing else, so no
 * text can hide there.
 */
import { armorAlphabet, Base64Reader } from "./base64.ts";
import { PacketWalk } from "./packets.ts";
import type { Sink } from "./sink.ts";

const begin = Buffer.from("-----BEGIN PGP MESSAGE-----\r\n");
const versionField = Buffer.from("Version: ");
/** Real ones name a program; longer ones could carry clear text (decision 0015). */
const maxVersionLine = 100;

/**
 * A line end where the base64 had one, then the padding, the checksum and the last line with the
 * line ends between them.
 */
const tail =
  /^\n?((?:=[\r\n]*){0,2})(?:(?<=[\r\n])=[A-Za-z0-9+/]{4}[\r\n]+)?(?<=[\r\n])-----END PGP MESSAGE-----(?:\r\n)*$/;
const maxTail = 200;
/**
 * Octets of line ends in a row: real armor has an empty line at its beginning. More are work
 * without content.
 */
const maxLineEnds = 100;

type State = "begin" | "versionField" | "versionLine" | "data" | "tail" | "wrong";

export class ArmorCheck implements Sink {
  readonly #base64 = new Base64Reader(armorAlphabet);
  readonly #packets = new PacketWalk();
  #state: State = "begin";
  /** Bytes of the current fixed text that have been seen, or of the version line. */
  #seen = 0;
  #last = 0;
  readonly #tail = Buffer.alloc(maxTail);
  #tailLength = 0;
  #hasVersionLine = false;
  #lineEnds = 0;

  /** Whether a `Version: ` line was there, which only mail from other servers may have. */
  get hasVersionLine(): boolean {
    return this.#hasVersionLine;
  }

  write(bytes: Uint8Array, start: number, end: number): boolean {
    let at = start;
    while (at < end && this.#state !== "wrong") {
      if (this.#state === "data") at = this.#data(bytes, at, end);
      else this.#octet(bytes[at++] as number);
    }
    return this.#state !== "wrong";
  }

  end(): boolean {
    const match = this.#state === "tail" ? tail.exec(this.#tail.toString("latin1", 0, this.#tailLength)) : null;
    if (!match) return false;
    const padding = (match[1] ?? "").replace(/[\r\n]/g, "").length;
    return this.#base64.finish(padding) && this.#base64.pass(this.#packets) && this.#packets.end();
  }

  #octet(octet: number): void {
    switch (this.#state) {
      case "begin":
        if (octet !== begin[this.#seen]) this.#state = "wrong";
        else if (++this.#seen === begin.length) {
          this.#state = "versionField";
          this.#seen = 0;
        }
        return;
      case "versionField":
        this.#versionField(octet);
        return;
      case "versionLine":
        if (octet === 10 && this.#last === 13) this.#state = "data";
        else if (octet === 10 || this.#last === 13 || ++this.#seen > maxVersionLine) this.#state = "wrong";
        this.#last = octet;
        return;
      default:
        if (this.#tailLength === maxTail) this.#state = "wrong";
        else this.#tail[this.#tailLength++] = octet;
    }
  }

  #versionField(octet: number): void {
    if (octet === versionField[this.#seen]) {
      this.#seen++;
      if (this.#seen < versionField.length) return;
      this.#hasVersionLine = true;
      this.#state = "versionLine";
      return;
    }
    // no such line after all: what looked like its beginning is data
    const data = Buffer.concat([versionField.subarray(0, this.#seen), Buffer.of(octet)]);
    this.#state = "data";
    this.#last = 10;
    this.write(data, 0, data.length);
  }

  #data(bytes: Uint8Array, start: number, end: number): number {
    const stop = this.#base64.read(bytes, start, end);
    if (!this.#countLineEnds(bytes, start, stop) || !this.#base64.pass(this.#packets)) {
      this.#state = "wrong";
      return end;
    }
    if (stop > start) this.#last = bytes[stop - 1] as number;
    if (stop < end) {
      // the tail begins with the line end before it, if there is one
      if (this.#last === 10 || this.#last === 13) this.#tail[this.#tailLength++] = 10;
      this.#state = "tail";
    }
    return stop;
  }

  /** False where too many stand in a row. */
  #countLineEnds(bytes: Uint8Array, start: number, end: number): boolean {
    let count = this.#lineEnds;
    for (let at = start; at < end; at++) {
      const octet = bytes[at];
      if (octet !== 10 && octet !== 13) count = 0;
      else if (++count > maxLineEnds) return false;
    }
    this.#lineEnds = count;
    return true;
  }
}
