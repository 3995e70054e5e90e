/**
 * Walks over OpenPGP packets (RFC 9580 §4): right is `(PKESK | SKESK)* SEIPD` and nothing behind
 * it. Contents are passed over.
 */
import type { Sink } from "./sink.ts";

/**
 * Packet types: public-key and symmetric-key encrypted session key, and encrypted integrity
 * protected data.
 */
const pkesk = 1;
const skesk = 3;
const seipd = 18;

type State =
  | "header"
  /** The first length octet of a new-format packet, or of the chunk after a partial one. */
  | "newLength"
  /** `#needed` more length octets. */
  | "length"
  | "content"
  | "wrong";

export class PacketWalk implements Sink {
  #state: State = "header";
  /** Of the packet under way, or of the last one; -1 before the first. */
  #type = -1;
  #needed = 0;
  #length = 0;
  /** 192..223 in a two-octet length: the octets are not simply big-endian. */
  #twoOctets = false;
  #partial = false;

  write(bytes: Uint8Array, start: number, end: number): boolean {
    let at = start;
    while (at < end && this.#state !== "wrong") {
      if (this.#state === "content") {
        const passed = Math.min(this.#length, end - at);
        at += passed;
        this.#length -= passed;
        if (this.#length === 0) this.#state = this.#behindContent();
      } else this.#state = this.#octet(bytes[at++] as number, this.#state);
    }
    return this.#state !== "wrong";
  }

  end(): boolean {
    return this.#state === "header" && this.#type === seipd;
  }

  #octet(octet: number, state: Exclude<State, "content" | "wrong">): State {
    if (state === "header") return this.#header(octet);
    if (state === "newLength") return this.#newLength(octet);
    this.#length = this.#length * 256 + octet;
    this.#needed--;
    if (this.#needed > 0) return "length";
    if (this.#twoOctets) this.#length -= 192 * 256 - 192;
    return this.#content();
  }

  #header(octet: number): State {
    // whatever stands before another packet must be a session key
    if (this.#type !== -1 && this.#type !== pkesk && this.#type !== skesk) return "wrong";
    const newFormat = (octet & 0xc0) === 0xc0;
    const legacy = (octet & 0xc0) === 0x80;
    if (!newFormat && !legacy) return "wrong";
    this.#type = newFormat ? octet & 0x3f : (octet >> 2) & 0xf;
    if (this.#type !== pkesk && this.#type !== skesk && this.#type !== seipd) return "wrong";
    this.#length = 0;
    this.#partial = false;
    this.#twoOctets = false;
    if (newFormat) return "newLength";
    const lengthType = octet & 0x3;
    if (lengthType === 3) return "wrong"; // indeterminate
    this.#needed = 1 << lengthType;
    return "length";
  }

  #newLength(octet: number): State {
    this.#partial = octet >= 224 && octet < 255;
    if (octet < 192 || this.#partial) {
      this.#length = this.#partial ? 2 ** (octet & 0x1f) : octet;
      return this.#content();
    }
    this.#twoOctets = octet < 224;
    this.#length = this.#twoOctets ? octet : 0;
    this.#needed = this.#twoOctets ? 1 : 4;
    return "length";
  }

  #content(): State {
    return this.#length === 0 ? this.#behindContent() : "content";
  }

  #behindContent(): State {
    return this.#partial ? "newLength" : "header";
  }
}
