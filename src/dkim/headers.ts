/** The headers of one message, and the text of them that a signature covers. */
import { trimSpace } from "../lib/text.ts";
import { type Canonicalization, canonicalHeader, withCrlf } from "./canonical.ts";

export interface Header {
  /** As written; white space before the colon is part of it. */
  name: string;
  /** Latin1, as the milter has it: with the space after the colon; folds end in CRLF here. */
  value: string;
}

/** Headers of a real mail are a few KiB. */
const mostBytes = 1 << 20;

export class HeaderBlock {
  readonly #byName = new Map<string, Header[]>();
  readonly #relaxed = new Map<Header, string>();
  #bytes = 0;

  /** More than is kept; no signature over these headers can be made or checked. */
  get tooLarge(): boolean {
    return this.#bytes > mostBytes;
  }

  add(name: string, value: string): void {
    this.#bytes += name.length + value.length + 64;
    if (this.tooLarge) return;
    const header = { name, value: withCrlf(value) };
    const key = nameKey(name);
    const list = this.#byName.get(key);
    if (list) list.push(header);
    else this.#byName.set(key, [header]);
  }

  /** Those of this name (lower-case), from the top of the message down. */
  all(name: string): readonly Header[] {
    return this.#byName.get(name) ?? [];
  }

  /**
   * What a signature covers (RFC 6376 §5.4.2): for each name, the lowest header of it that is not
   * yet taken; none left counts as empty text, so that nobody can add one. `own`, the signature
   * itself, is not among them.
   */
  signedText(names: readonly string[], kind: Canonicalization, own?: Header): string {
    const left = new Map<string, Header[]>();
    let text = "";
    for (const name of names) {
      const headers = left.get(name) ?? this.all(name).filter((each) => each !== own);
      left.set(name, headers);
      const header = headers.pop();
      if (header)
        text += kind === "simple" ? canonicalHeader(kind, header.name, header.value) : this.#relaxedText(header);
    }
    return text;
  }

  #relaxedText(header: Header): string {
    const known = this.#relaxed.get(header);
    if (known !== undefined) return known;
    const text = canonicalHeader("relaxed", header.name, header.value);
    this.#relaxed.set(header, text);
    return text;
  }
}

export const nameKey = (name: string) => trimSpace(name).toLowerCase();
