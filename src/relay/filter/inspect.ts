/** Reads one message as it streams by and says what the filter's rules ask of it. Memory is bounded, whatever the size of the message. */
import { ArmorCheck } from "./armor.ts";
import { ExactText } from "./exact-text.ts";
import { firstAddress } from "./from.ts";
import { parseContentType, unfolded } from "./headers.ts";
import { MultipartScanner, type PartHandler, type PartHeaders } from "./multipart.ts";
import type { Sink } from "./sink.ts";
import { undoTransferEncoding } from "./transfer.ts";

export interface MessageFacts {
  /** The first From header: its text in one line, and the address in it, lower-case. */
  fromText: string | undefined;
  from: string | undefined;
  subject: string | undefined;
  /** Lower-case top-level type, such as "multipart/report". */
  type: string;
  /** There is an Auto-Submitted header that says something. */
  autoSubmitted: boolean;
  /** Only OpenPGP-encrypted content (reference §6.4, §6.5); `withVersionLine` where the armor has a line that only other servers' mail may have. */
  encrypted: "no" | "yes" | "withVersionLine";
  /** The one cleartext step of a Secure-Join handshake (reference §6.6). */
  secureJoinRequest: boolean;
  /** A CR without LF or an LF without CR stands in the body. */
  bareNewline: boolean;
}

const secureJoinSteps = ["vc-request", "vg-request"];
const secureJoinTexts = secureJoinSteps.map((step) => `secure-join: ${step}`);

/** Headers of which the first counts. */
const wanted = ["from", "subject", "auto-submitted", "secure-join"] as const;

export class MessageInspector {
  readonly #first = new Map<string, string>();
  readonly #contentTypes: string[] = [];
  #type = "text/plain";
  #scanner: MultipartScanner | undefined;
  #parts: ExpectedParts | undefined;
  #afterCr = false;
  #bareNewline = false;

  /** `value` as latin1 text, folds included. */
  header(name: string, value: string): void {
    const key = name.trim().toLowerCase();
    if (key === "content-type") {
      if (this.#contentTypes.length < 2) this.#contentTypes.push(value);
    } else if ((wanted as readonly string[]).includes(key) && !this.#first.has(key)) {
      this.#first.set(key, unfolded(value));
    }
  }

  endOfHeaders(): void {
    const { type, boundary } = parseContentType(this.#contentTypes[0]);
    this.#type = type;
    // two types: readers could disagree on which holds
    if (this.#contentTypes.length !== 1 || !type.startsWith("multipart/") || boundary === undefined) return;
    const parts = new ExpectedParts({
      encrypted: type === "multipart/encrypted",
      secureJoin: secureJoinSteps.includes(this.#first.get("secure-join") ?? ""),
    });
    if (!parts.possible) return;
    this.#parts = parts;
    this.#scanner = new MultipartScanner(boundary, parts);
  }

  body(chunk: Buffer): void {
    if (this.#scanner) this.#scanner.write(chunk);
    else this.#lookForBareNewline(chunk);
  }

  /** The top-level type, once the headers are over. */
  get type(): string {
    return this.#type;
  }

  /** The address in the first From header, lower-case, once the headers are over. */
  get from(): string | undefined {
    const text = this.#first.get("from");
    return text === undefined ? undefined : firstAddress(text);
  }

  /** The first Subject, once the headers are over. */
  get subject(): string | undefined {
    return this.#first.get("subject");
  }

  /** Whether the message can still turn out encrypted or a Secure-Join request. */
  get hopeful(): boolean {
    return this.#scanner !== undefined && !this.#scanner.gaveUp;
  }

  finish(): MessageFacts {
    this.#scanner?.finish();
    const bareNewline = this.#bareNewline || this.#afterCr || (this.#scanner?.bareNewline ?? false);
    const clear = this.#scanner !== undefined && !this.#scanner.gaveUp && !bareNewline;
    return {
      fromText: this.#first.get("from"),
      from: this.from,
      subject: this.subject,
      type: this.#type,
      autoSubmitted: (this.#first.get("auto-submitted") ?? "") !== "",
      encrypted: (clear && this.#parts?.encrypted) || "no",
      secureJoinRequest: clear && this.#parts?.secureJoinRequest === true,
      bareNewline,
    };
  }

  #lookForBareNewline(chunk: Buffer): void {
    if (this.#bareNewline) return;
    let { length } = chunk;
    if (length === 0) return;
    if (this.#afterCr && chunk[0] !== 10) this.#bareNewline = true;
    if (!this.#afterCr && chunk[0] === 10) this.#bareNewline = true;
    this.#afterCr = chunk[length - 1] === 13;
    if (this.#afterCr) length--;
    for (let at = chunk.indexOf(13); at >= 0 && at < length; at = chunk.indexOf(13, at + 1)) {
      if (chunk[at + 1] !== 10) this.#bareNewline = true;
    }
    for (let at = chunk.indexOf(10, 1); at >= 0; at = chunk.indexOf(10, at + 1)) {
      if (chunk[at - 1] !== 13) this.#bareNewline = true;
    }
  }
}

/** The parts that an encrypted message or a Secure-Join request has, and no others. */
class ExpectedParts implements PartHandler {
  #encrypted: boolean;
  #secureJoin: boolean;
  #armor: ArmorCheck | undefined;
  #rightParts = 0;

  constructor(hopes: { encrypted: boolean; secureJoin: boolean }) {
    this.#encrypted = hopes.encrypted;
    this.#secureJoin = hopes.secureJoin;
  }

  get possible(): boolean {
    return this.#encrypted || this.#secureJoin;
  }

  get encrypted(): MessageFacts["encrypted"] {
    if (!this.#encrypted || this.#rightParts !== 2) return "no";
    return this.#armor?.hasVersionLine ? "withVersionLine" : "yes";
  }

  get secureJoinRequest(): boolean {
    return this.#secureJoin && this.#rightParts === 1;
  }

  begin(index: number, headers: PartHeaders): Sink | undefined {
    const types = headers.get("content-type");
    const encodings = headers.get("content-transfer-encoding");
    if (types.length > 1 || encodings.length > 1) return undefined;
    const { type } = parseContentType(types[0]);
    const content = this.#contentOf(index, type);
    return content && undoTransferEncoding(unfolded(encodings[0] ?? ""), content);
  }

  end(_index: number, right: boolean): boolean {
    if (right) this.#rightParts++;
    return right;
  }

  #contentOf(index: number, type: string): Sink | undefined {
    if (index === 0 && this.#encrypted && type === "application/pgp-encrypted") {
      this.#secureJoin = false;
      return new ExactText(["Version: 1"], { anyCase: false });
    }
    if (index === 0 && this.#secureJoin && type === "text/plain") {
      this.#encrypted = false;
      return new ExactText(secureJoinTexts, { anyCase: true });
    }
    if (index === 1 && this.#encrypted && type === "application/octet-stream") {
      this.#armor = new ArmorCheck();
      return this.#armor;
    }
    return undefined;
  }
}
