/**
 * Cuts a stream of bytes into lines that end in LF. They stay bytes: a character that is cut in two
 * is whole again in its line.
 */

export class LineTooLong extends Error {
  override readonly name = "LineTooLong";
}

/**
 * A line that comes in single bytes is put together now and then: each piece costs more than its
 * bytes.
 */
const mostPieces = 1000;

/** Holds at most one unfinished line. */
export class LineReader {
  readonly #maxBytes: number;
  #pieces: Buffer[] = [];
  #held = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /**
   * Whole lines in `chunk` together with what was left before, without their LF. Throws
   * LineTooLong.
   */
  push(chunk: Buffer): Buffer[] {
    const lines: Buffer[] = [];
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      this.#keep(chunk.subarray(start, end));
      lines.push(this.#join());
      this.#pieces = [];
      this.#held = 0;
      start = end + 1;
    }
    // a copy: the rest of a line must not keep the whole chunk
    if (start < chunk.length) this.#keep(Buffer.from(chunk.subarray(start)));
    return lines;
  }

  #keep(piece: Buffer): void {
    this.#held += piece.length;
    if (this.#held > this.#maxBytes) throw new LineTooLong(`a line of more than ${this.#maxBytes} bytes`);
    this.#pieces.push(piece);
    if (this.#pieces.length > mostPieces) this.#pieces = [this.#join()];
  }

  #join(): Buffer {
    const [first = Buffer.alloc(0)] = this.#pieces;
    return this.#pieces.length > 1 ? Buffer.concat(this.#pieces, this.#held) : first;
  }
}
