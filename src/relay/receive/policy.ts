/**
 * What of a `/mxdeliv` request is right, and which answer a reply of our own Postfix becomes
 * (chatmail protocol §3, §7). Pure.
 */
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { plainAddress } from "../../mail/address.ts";
import { type Domains, isOurs } from "../domains.ts";

export interface Envelope {
  /** Empty: the null sender. */
  sender: string;
  recipients: readonly string[];
}

export interface HttpAnswer {
  status: number;
  body: string;
}

/** As port 25 allows (smtpd_recipient_limit). */
export const mostRecipients = 1000;

export function envelopeOf(
  headers: NodeJS.Dict<string[]>,
  config: Domains,
): { envelope: Envelope } | { refusal: HttpAnswer } {
  const senders = headers["x-mail-from"] ?? [];
  const recipients = (headers["x-mail-to"] ?? []).map((each) => each.trim().toLowerCase());
  const sender = (senders[0] ?? "").trim().toLowerCase();
  if (senders.length > 1 || (sender !== "" && !plainAddress(sender))) return refuse("501 5.1.7 Bad sender address");
  if (recipients.length === 0) return refuse("501 5.5.4 No recipient");
  if (recipients.length > mostRecipients) return refuse("452 4.5.3 Too many recipients");
  if (!recipients.every((each) => plainAddress(each) !== undefined)) return refuse("501 5.1.3 Bad recipient address");
  if (!recipients.every((each) => isOurs(config, each))) return refuse("554 5.7.1 Relay access denied");
  return { envelope: { sender, recipients: [...new Set(recipients)] } };
}

const refuse = (line: string): { refusal: HttpAnswer } => ({ refusal: { status: 400, body: `${line}\n` } });

export const wrongMethod: HttpAnswer = { status: 405, body: "Method Not Allowed\n" };
export const invalidData: HttpAnswer = { status: 400, body: "500 Invalid DATA\n" };
export const unavailable: HttpAnswer = { status: 400, body: "451 4.3.0 try again later\n" };
/** What 503 tells, and how long a request waits for its turn. */
export const busySeconds = 30;
/** Too many requests at once, of all or of this client. By SMTP it may fit. */
export const busy: HttpAnswer = { status: 503, body: "451 4.3.2 busy, try again later\n" };
export const tooSlow: HttpAnswer = { status: 408, body: "451 4.4.2 the message came too slowly\n" };
export const tooLargeHeaders: HttpAnswer = { status: 431, body: "452 4.5.3 headers too large\n" };
const tooLarge: HttpAnswer = { status: 413, body: "552 Message exceeds maximum size\n" };

/** `reply` is Postfix's: of the message's end, or of the first command that it refused. */
export function answerFor(reply: string): HttpAnswer {
  if (reply.startsWith("2")) return { status: 200, body: "250 OK\n" };
  return reply.startsWith("552") ? tooLarge : { status: 400, body: `${reply}\n` };
}

/** Of a message that may pass, all of its dots doubled. */
export const mostBodyBytes = (maxMessageBytes: number): number => 2 * maxMessageBytes;

export function isSurelyTooLarge(headers: IncomingHttpHeaders, maxMessageBytes: number): boolean {
  return Number(headers["content-length"] ?? 0) > mostBodyBytes(maxMessageBytes);
}

/** As they are sent. */
export function headerBytes({ rawHeaders }: Pick<IncomingMessage, "rawHeaders">): number {
  return rawHeaders.reduce((sum, each) => sum + each.length + 2, 0);
}

/**
 * What headers may take beside the recipients, and for each of them: an address has 320 bytes at
 * most.
 */
const headerRoom = { bytes: 4096, bytesEach: 400 };

/**
 * More than the recipients need. What waits for its turn is kept in memory with all of its headers.
 */
export function hasTooLargeHeaders(request: Pick<IncomingMessage, "rawHeaders">): boolean {
  const recipients = request.rawHeaders.filter((each, at) => at % 2 === 0 && each.toLowerCase() === "x-mail-to");
  return headerBytes(request) > headerRoom.bytes + recipients.length * headerRoom.bytesEach;
}

export { tooLarge };

/**
 * Whether a body is in SMTP DATA form: lines end in CRLF, CR and LF stand nowhere else, no line is
 * a lone dot.
 */
export class DataForm {
  #right = true;
  /** The last two bytes of the line so far, and how long it is. */
  #lineLength = 0;
  #firstByte = 0;
  #previous = 0;
  #empty = true;

  /** False when the body is wrong, whatever follows. */
  push(chunk: Buffer): boolean {
    if (chunk.length > 0) this.#empty = false;
    let start = 0;
    for (let lf = chunk.indexOf(10); this.#right && lf >= 0; lf = chunk.indexOf(10, start)) {
      this.#part(chunk, start, lf);
      const isLoneDot = this.#lineLength === 2 && this.#firstByte === 0x2e;
      if (this.#previous !== 13 || isLoneDot) this.#right = false;
      this.#lineLength = 0;
      this.#previous = 10;
      start = lf + 1;
    }
    if (this.#right) this.#part(chunk, start, chunk.length);
    return this.#right;
  }

  /** Whether the whole body is right. */
  finish(): boolean {
    return this.#right && !this.#empty && this.#previous === 10;
  }

  /**
   * A piece of a line, without its LF: a CR may only be the last byte of the line, so none may be
   * followed by another byte.
   */
  #part(chunk: Buffer, from: number, to: number): void {
    if (from === to) return;
    if (this.#lineLength === 0) this.#firstByte = chunk[from] as number;
    else if (this.#previous === 13) this.#right = false;
    const cr = chunk.indexOf(13, from);
    if (cr >= 0 && cr < to - 1) this.#right = false;
    this.#lineLength += to - from;
    this.#previous = chunk[to - 1] as number;
  }
}
