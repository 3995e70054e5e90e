/**
 * Canonical forms (RFC 6376 §3.4): what of a message is hashed. Header text is latin1, one
 * character for each octet; a body is hashed as it streams by, in memory that does not grow with
 * it.
 */
import { createHash } from "node:crypto";
import { trimSpace } from "../lib/text.ts";

export type Canonicalization = "simple" | "relaxed";

/**
 * A header line with its CRLF. Folds of `value` end in CRLF; what stands around the colon is part
 * of name and value.
 */
export function canonicalHeader(kind: Canonicalization, name: string, value: string): string {
  return kind === "simple" ? `${name}:${value}\r\n` : relaxedHeader(name, value);
}

function relaxedHeader(name: string, value: string): string {
  const text = value.replaceAll("\r\n", "").replace(/[ \t]+/g, " ");
  return `${trimSpace(name).toLowerCase()}:${text.slice(text.startsWith(" ") ? 1 : 0, text.endsWith(" ") ? -1 : undefined)}\r\n`;
}

/** Folds as they are on the wire, however the milter or a test has them. */
export const withCrlf = (value: string) => value.replace(/\r?\n/g, "\r\n");

export interface BodyHash {
  /** SHA-256 of the canonical body. */
  hash: Buffer;
  /** Octets of the canonical body. */
  length: number;
}

export interface BodyHasher {
  write(chunk: Uint8Array): void;
  /** May be asked again; nothing is written any more. */
  finish(): BodyHash;
}

export function bodyHasher(kind: Canonicalization): BodyHasher {
  return kind === "simple" ? new SimpleBody() : new RelaxedBody();
}

const cr = 13;
const lf = 10;
const lineEnds = Buffer.from("\r\n".repeat(1024), "latin1");

/**
 * SHA-256 that counts. Line ends are held back until something comes after them: those at the end
 * of a body are not hashed.
 */
class HeldLineEnds {
  readonly #hash = createHash("sha256");
  #length = 0;
  #done: BodyHash | undefined;
  waiting = 0;

  get isEmpty(): boolean {
    return this.#length === 0;
  }

  write(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#flush();
    this.#add(bytes);
  }

  #flush(): void {
    while (this.waiting > 0) {
      const some = Math.min(this.waiting, lineEnds.length / 2);
      this.#add(lineEnds.subarray(0, 2 * some));
      this.waiting -= some;
    }
  }

  finish(options: { lineEnd: boolean }): BodyHash {
    if (this.#done) return this.#done;
    if (options.lineEnd) this.#add(lineEnds.subarray(0, 2));
    this.#done = { hash: this.#hash.digest(), length: this.#length };
    return this.#done;
  }

  #add(bytes: Uint8Array): void {
    this.#hash.update(bytes);
    this.#length += bytes.length;
  }
}

const carriageReturn = Buffer.from([cr]);

/**
 * The body as it is, its last lines that are empty taken off and one CRLF at its end (§3.4.3); an
 * empty body is one CRLF.
 */
class SimpleBody implements BodyHasher {
  readonly #out = new HeldLineEnds();
  /** The last octet seen was a CR that may be half of a line end. */
  #afterCr = false;

  write(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    let start = 0;
    if (this.#afterCr) {
      this.#afterCr = false;
      if (chunk[0] === lf) {
        this.#out.waiting++;
        start = 1;
      } else this.#out.write(carriageReturn);
    }
    let end = chunk.length;
    if (end > start && chunk[end - 1] === cr) {
      this.#afterCr = true;
      end--;
    }
    let lines = 0;
    for (; end - 2 >= start && chunk[end - 2] === cr && chunk[end - 1] === lf; end -= 2) lines++;
    this.#out.write(chunk.subarray(start, end));
    this.#out.waiting += lines;
  }

  finish(): BodyHash {
    if (this.#afterCr) this.#out.write(carriageReturn);
    this.#afterCr = false;
    return this.#out.finish({ lineEnd: true });
  }
}

/**
 * White space at the end of lines taken off, elsewhere one space for each run; empty lines at the
 * end taken off (§3.4.4). A body of nothing but those is empty; any other ends in CRLF.
 */
class RelaxedBody implements BodyHasher {
  readonly #out = new HeldLineEnds();
  #afterCr = false;
  #afterSpace = false;
  #buffer: Uint8Array = new Uint8Array(0);

  write(chunk: Uint8Array): void {
    // a held CR and a held space can come before what is in the chunk
    if (this.#buffer.length < chunk.length + 2) this.#buffer = new Uint8Array(chunk.length + 2);
    const buffer = this.#buffer;
    let length = 0;
    let lines = 0;
    let afterCr = this.#afterCr;
    let afterSpace = this.#afterSpace;
    for (let at = 0; at < chunk.length; at++) {
      const octet = chunk[at] as number;
      if (afterCr && octet === lf) {
        lines++;
        afterCr = false;
        afterSpace = false;
        continue;
      }
      if (!afterCr && (octet === 32 || octet === 9)) {
        afterSpace = true;
        continue;
      }
      if (!afterCr && octet === cr) {
        afterCr = true;
        continue;
      }
      for (; lines > 0; lines--) {
        buffer[length++] = cr;
        buffer[length++] = lf;
      }
      if (afterSpace) buffer[length++] = 32;
      afterSpace = false;
      if (afterCr) {
        // the CR was content; this octet has its turn again
        buffer[length++] = cr;
        afterCr = false;
        at--;
      } else buffer[length++] = octet;
    }
    this.#out.write(buffer.subarray(0, length));
    this.#out.waiting += lines;
    this.#afterCr = afterCr;
    this.#afterSpace = afterSpace;
  }

  finish(): BodyHash {
    if (this.#afterCr) this.#out.write(Buffer.from(this.#afterSpace ? " \r" : "\r", "latin1"));
    this.#afterCr = false;
    return this.#out.finish({ lineEnd: !this.#out.isEmpty });
  }
}
