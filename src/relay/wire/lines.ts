/** Splits a byte stream into lines that end in LF; holds at most one unfinished line. */

export class LineTooLong extends Error {
  override readonly name = "LineTooLong";
}

export class LineReader {
  readonly #maxBytes: number;
  #rest: Buffer = Buffer.alloc(0);

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Whole lines in `chunk` together with what was left before, without their LF. Throws LineTooLong. */
  push(chunk: Buffer): Buffer[] {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const lines: Buffer[] = [];
    let start = 0;
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, start)) {
      if (end - start > this.#maxBytes) throw new LineTooLong(`a line has more than ${this.#maxBytes} bytes`);
      lines.push(bytes.subarray(start, end));
      start = end + 1;
    }
    this.#rest = Buffer.from(bytes.subarray(start));
    if (this.#rest.length > this.#maxBytes) throw new LineTooLong(`a line has more than ${this.#maxBytes} bytes`);
    return lines;
  }
}
