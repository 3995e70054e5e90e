/**
 * Reads one message as it streams by and says what the filter's rules ask of it. Memory is bounded,
 * whatever the size of the message.
 */
import { authorOf } from "../mime/from.ts";
import { parseContentType, unfolded } from "../mime/headers.ts";
import { MultipartScanner } from "../mime/multipart.ts";
import { ExpectedParts } from "./expected-parts.ts";
import { isOnceOnly } from "./once.ts";
import { FirstStepText, isFirstStep } from "./secure-join.ts";

export interface MessageFacts {
  /**
   * The author's address, lower-case; undefined where there is not exactly one From header with one
   * address that every reader finds.
   */
  from: string | undefined;
  /** The address in the Sender header: as `from`, and null where there is no such header. */
  sender: string | undefined | null;
  /** The lower-case name of a header that is there more than once and must not be. */
  repeated: string | undefined;
  subject: string | undefined;
  /** Lower-case top-level type, such as "multipart/report". */
  type: string;
  /** There is an Auto-Submitted header that says something. */
  autoSubmitted: boolean;
  /**
   * Only OpenPGP-encrypted content (chatmail protocol §4, §4.1); `withVersionLine` where the armor
   * has a line that only other servers' mail may have.
   */
  encrypted: "no" | "yes" | "withVersionLine";
  /**
   * The one cleartext step of a Secure-Join handshake (chatmail protocol §5), as a multipart or as
   * text of one line (core 2.57 to 2.59).
   */
  secureJoinRequest: boolean;
  /**
   * The content is a delivery status notification (RFC 3464) and nothing else, of at most 1 MiB.
   */
  deliveryReport: boolean;
  /** A CR without LF or an LF without CR stands in the body. */
  bareNewline: boolean;
}

/** Headers whose value is of use. */
const wanted = ["from", "sender", "subject", "auto-submitted", "secure-join", "content-transfer-encoding"] as const;
type Wanted = (typeof wanted)[number];

/** With the mail that comes back; Postfix sends 50 kB of it at most. */
const maxReportBytes = 1 << 20;

export class MessageInspector {
  readonly #first = new Map<Wanted, string>();
  readonly #seen = new Set<string>();
  readonly #keyOwners: string[] = [];
  readonly #contentTypes: string[] = [];
  #repeated: string | undefined;
  #from: string | undefined;
  #type = "text/plain";
  #scanner: MultipartScanner | undefined;
  #parts: ExpectedParts | undefined;
  #line: FirstStepText | undefined;
  #bodyBytes = 0;
  #afterCr = false;
  #bareNewline = false;

  /** `value` as latin1 text, folds included. */
  header(name: string, value: string): void {
    const key = name.trim().toLowerCase();
    if (key === "from" || isOnceOnly(key)) {
      if (this.#seen.has(key) || this.#seen.size === mostNames) this.#repeated ??= key;
      else this.#seen.add(key);
    }
    if (key === "content-type") {
      if (this.#contentTypes.length < 2) this.#contentTypes.push(value);
    } else if (key === "autocrypt") {
      if (this.#keyOwners.length < mostKeys) this.#keyOwners.push(ownerOfKey(value));
    } else if (isWanted(key) && !this.#first.has(key)) {
      this.#first.set(key, unfolded(value));
    }
  }

  endOfHeaders(): void {
    this.#from = this.#repeated === "from" ? undefined : authorOf(this.#first.get("from") ?? "");
    const keys = this.#keyOwners.filter((owner) => owner === this.#from).length;
    if (keys > 1 || this.#keyOwners.length === mostKeys) this.#repeated ??= "autocrypt";
    const { type, boundary, reportType } = parseContentType(this.#contentTypes[0]);
    this.#type = type;
    // two types: readers could disagree on which holds
    if (this.#contentTypes.length > 1) return;
    const secureJoin = isFirstStep(this.#first.get("secure-join") ?? "");
    if (secureJoin && type === "text/plain") {
      this.#line = FirstStepText.of(this.#first.get("content-transfer-encoding") ?? "");
    }
    if (!type.startsWith("multipart/") || boundary === undefined) return;
    const parts = new ExpectedParts({
      encrypted: type === "multipart/encrypted",
      secureJoin,
      report: type === "multipart/report" && reportType === "delivery-status",
    });
    if (!parts.possible) return;
    this.#parts = parts;
    this.#scanner = new MultipartScanner(boundary, parts);
  }

  body(chunk: Buffer): void {
    this.#bodyBytes += chunk.length;
    this.#line?.write(chunk);
    if (!this.#scanner?.gaveUp) this.#scanner?.write(chunk);
    this.#lookForBareNewline(chunk);
  }

  /** The top-level type, once the headers are over. */
  get type(): string {
    return this.#type;
  }

  /** As in the facts, once the headers are over. */
  get from(): string | undefined {
    return this.#from;
  }

  /** The first Subject, once the headers are over. */
  get subject(): string | undefined {
    return this.#first.get("subject");
  }

  /**
   * Whether the message can still turn out encrypted, a Secure-Join request or a delivery report.
   */
  get hopeful(): boolean {
    return this.#scanner ? !this.#scanner.gaveUp : this.#line?.right === true;
  }

  finish(): MessageFacts {
    this.#scanner?.finish();
    const bareNewline = this.#bareNewline || this.#afterCr;
    const clear = this.#scanner !== undefined && !this.#scanner.gaveUp && !bareNewline;
    const sender = this.#first.get("sender");
    return {
      from: this.#from,
      sender: sender === undefined ? null : authorOf(sender),
      repeated: this.#repeated,
      subject: this.subject,
      type: this.#type,
      autoSubmitted: (this.#first.get("auto-submitted") ?? "") !== "",
      encrypted: (clear && this.#parts?.encrypted) || "no",
      secureJoinRequest: clear ? this.#parts?.secureJoinRequest === true : !bareNewline && this.#line?.end() === true,
      deliveryReport: clear && this.#parts?.deliveryReport === true && this.#bodyBytes <= maxReportBytes,
      bareNewline,
    };
  }

  /**
   * A loop over octets costs the same whatever they are; a search for each line end is slow where
   * there is nothing else.
   */
  #lookForBareNewline(chunk: Buffer): void {
    if (this.#bareNewline) return;
    let afterCr = this.#afterCr;
    for (let at = 0; at < chunk.length; at++) {
      const octet = chunk[at];
      if ((octet === 10) !== afterCr) {
        this.#bareNewline = true;
        return;
      }
      afterCr = octet === 13;
    }
    this.#afterCr = afterCr;
  }
}

/** Of names like Chat-1, Chat-2: a mail of 30 MiB has room for millions. */
const mostNames = 1000;

const isWanted = (key: string): key is Wanted => (wanted as readonly string[]).includes(key);

/**
 * Several Autocrypt headers are one for each address of an author; two for one address and it is
 * not clear which key is meant.
 */
const mostKeys = 100;
const ownerOfKey = (value: string) =>
  /(?:^|;)\s*addr\s*=\s*([^;]*)/i.exec(unfolded(value))?.[1]?.trim().toLowerCase() ?? "";
