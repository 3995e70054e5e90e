/**
 * Takes a multipart body apart while it streams by (RFC 2046 §5.1): one level, nothing kept but an
 * unfinished line. Where readers could disagree on what is a part (a line that begins like a
 * delimiter and is none, a part header that is no header), the structure counts as unclear, and an
 * unclear message is never "encrypted".
 */
import type { Sink } from "./sink.ts";

export interface PartHeaders {
  /** By lower-case name, in order; values still folded. */
  get(name: string): readonly string[];
}

export interface PartHandler {
  /**
   * A part begins: where its content goes, or undefined when the message can't be what was hoped
   * for.
   */
  begin(index: number, headers: PartHeaders): Sink | undefined;
  /** It is complete. False when it was not right. */
  end(index: number, right: boolean): boolean;
}

/**
 * Longest line that can be a delimiter or a part's header; one that is longer is unclear there,
 * wherever chunks cut it.
 */
const maxHeldLine = 1000;
/** Real ones have some hundred bytes. What stands in them nobody encrypts. */
const maxPartHeaderBytes = 4096;
/** In a row, anywhere: more are work without content, some 300 ns for two bytes. */
const maxEmptyLines = 1000;
/**
 * Of the one line that some clients write above the first part for readers without MIME (decision
 * 0015).
 */
const maxPreamble = 120;

const crlf = Buffer.from("\r\n");

export class MultipartScanner {
  readonly #delimiter: Buffer;
  readonly #handler: PartHandler;
  #state: "preamble" | "headers" | "content" | "epilogue" | "given up" = "preamble";
  #held: Buffer = Buffer.alloc(0);
  /** The beginning of this line has been passed on already. */
  #midLine = false;
  /** The content's last line end, which belongs to a delimiter that may follow. */
  #lineEnd: "" | "\r\n" | "\n" = "";
  /**
   * The line under way was a delimiter or the empty line before the content: its end is not
   * content.
   */
  #justBegan = false;
  #parts = 0;
  #headerText = "";
  #preamble = 0;
  #emptyLines = 0;
  #sink: Sink | undefined;

  constructor(boundary: string, handler: PartHandler) {
    this.#delimiter = Buffer.from(`--${boundary}`, "latin1");
    this.#handler = handler;
  }

  /** Parts that have begun. */
  get parts(): number {
    return this.#parts;
  }

  get gaveUp(): boolean {
    return this.#state === "given up";
  }

  write(chunk: Buffer): void {
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    let start = 0;
    for (let end = bytes.indexOf(10); end >= 0 && !this.gaveUp; end = bytes.indexOf(10, start)) {
      this.#line(bytes, start, end);
      start = end + 1;
    }
    if (this.gaveUp) {
      this.#held = Buffer.alloc(0);
      return;
    }
    // the last byte may be the CR of the line's end
    const end = bytes[bytes.length - 1] === 13 ? bytes.length - 1 : bytes.length;
    if (end - start > maxHeldLine) {
      this.#text(bytes, start, end);
      this.#midLine = true;
      start = end;
    }
    this.#held = Buffer.from(bytes.subarray(start));
  }

  finish(): void {
    if (this.#held.length > 0) {
      this.#text(this.#held, 0, this.#held.length);
      this.#held = Buffer.alloc(0);
    }
    if (this.#state === "headers") this.#endOfHeaders();
    this.#endOfPart();
  }

  /** One line that ends with the LF at `end`. */
  #line(bytes: Buffer, start: number, end: number): void {
    const hasCr = end > start && bytes[end - 1] === 13;
    this.#emptyLines = end - start === Number(hasCr) && !this.#midLine ? this.#emptyLines + 1 : 0;
    if (this.#emptyLines > maxEmptyLines) this.#giveUp();
    this.#text(bytes, start, hasCr ? end - 1 : end);
    this.#midLine = false;
    if (this.#state === "content") this.#lineEnd = this.#justBegan ? "" : hasCr ? "\r\n" : "\n";
    this.#justBegan = false;
  }

  /** A line or a piece of one, without its end. */
  #text(bytes: Buffer, start: number, end: number): void {
    if (this.#state === "given up") return;
    if (!this.#midLine && this.#beginsLikeDelimiter(bytes, start, end)) {
      if (end - start > maxHeldLine) this.#giveUp();
      else this.#delimiterLine(bytes.toString("latin1", start + this.#delimiter.length, end));
      return;
    }
    if (this.#state === "headers" && end - start > maxHeldLine) this.#giveUp();
    else if (this.#state === "headers") this.#headerLine(bytes.toString("latin1", start, end));
    else if (this.#state === "content") this.#content(bytes, start, end);
    else this.#outside(bytes, start, end);
  }

  /**
   * Text in no part, which is shown by readers without MIME: a line above the first, nothing behind
   * the last.
   */
  #outside(bytes: Buffer, start: number, end: number): void {
    if (end <= start) return;
    const text = bytes.toString("latin1", start, Math.min(end, start + maxPreamble + 1));
    if (/^[ \t]*$/.test(text) && end - start <= maxPreamble) return;
    if (this.#state === "epilogue" || this.#preamble > 0 || !/^[\x20-\x7e]{1,120}$/.test(text)) this.#giveUp();
    this.#preamble++;
  }

  #beginsLikeDelimiter(bytes: Buffer, start: number, end: number): boolean {
    const length = this.#delimiter.length;
    return end - start >= length && bytes.compare(this.#delimiter, 0, length, start, start + length) === 0;
  }

  /** `rest` is what stands behind the boundary: nothing, or -- at the last one. */
  #delimiterLine(rest: string): void {
    const last = /^--[ \t]*$/.test(rest);
    if (this.#state === "epilogue" || (!last && !/^[ \t]*$/.test(rest))) {
      this.#giveUp();
      return;
    }
    if (this.#state === "headers") this.#endOfHeaders();
    this.#endOfPart();
    if (this.gaveUp) return;
    this.#state = last ? "epilogue" : "headers";
    this.#headerText = "";
    this.#justBegan = true;
  }

  #headerLine(line: string): void {
    if (this.#midLine || this.#headerText.length + line.length > maxPartHeaderBytes) this.#giveUp();
    else if (line === "") this.#endOfHeaders();
    else this.#headerText += `${line}\n`;
  }

  #endOfHeaders(): void {
    const headers = parseHeaders(this.#headerText);
    const sink = headers && this.#handler.begin(this.#parts, headers);
    this.#parts++;
    if (!sink) {
      this.#giveUp();
      return;
    }
    this.#sink = sink;
    this.#state = "content";
    this.#lineEnd = "";
    this.#justBegan = true;
  }

  #content(bytes: Buffer, start: number, end: number): void {
    const sink = this.#sink;
    const lineEnd = this.#midLine ? "" : this.#lineEnd;
    if (!this.#midLine) this.#lineEnd = "";
    const goesOn =
      sink !== undefined &&
      (lineEnd === "" || sink.write(crlf, 2 - lineEnd.length, 2)) &&
      (end <= start || sink.write(bytes, start, end));
    if (!goesOn) this.#giveUp();
  }

  #endOfPart(): void {
    if (this.#state !== "content") return;
    const right = this.#sink?.end() ?? false;
    this.#sink = undefined;
    if (!this.#handler.end(this.#parts - 1, right)) this.#giveUp();
  }

  #giveUp(): void {
    this.#state = "given up";
    this.#sink = undefined;
  }
}

/** Undefined where a line is neither a field nor the fold of one. */
function parseHeaders(text: string): PartHeaders | undefined {
  const fields = new Map<string, string[]>();
  for (const field of text.replace(/\n$/, "").split(/\n(?![ \t])/)) {
    if (field === "") continue;
    const match = /^([\x21-\x39\x3b-\x7e]+):(.*)$/s.exec(field);
    if (!match) return undefined;
    const name = (match[1] ?? "").toLowerCase();
    const values = fields.get(name);
    if (values) values.push(match[2] ?? "");
    else fields.set(name, [match[2] ?? ""]);
  }
  return { get: (name) => fields.get(name) ?? [] };
}
