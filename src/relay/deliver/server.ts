/**
 * SMTP on the pod's loopback, where Postfix hands over what goes by HTTPS; its own client, so the
 * queue, the order and the retries are Postfix's. One transaction has recipients of one domain, as
 * Postfix makes them. A 4xx answer sends Postfix to the next hop of its list, which is SMTP.
 */
import { destinationOf } from "../route/domain.ts";
import { type Answer, type Dialogue, type FailureHandlers, LastAnswer, ProtocolError } from "../wire/conversation.ts";
import { openSocketServer, type SocketServer } from "../wire/socket-server.ts";
import { type Command, DataEnd, parseCommand } from "./protocol.ts";

export interface Envelope {
  sender: string;
  recipients: readonly string[];
  destination: string;
  sizeBytes: number | undefined;
}

/** A message on its way. */
export interface Parcel {
  write(chunk: Buffer): Promise<void>;
  /** The reply to the message's end. */
  finish(): Promise<string>;
  abort(): void;
}

/** Reports the end of a delivery to the order of mail, whatever came of it. */
export async function reportingEnd(
  envelope: Envelope,
  courier: { open(envelope: Envelope): Promise<Parcel | string> },
  order: { ended(envelope: Envelope): void },
): Promise<Parcel | string> {
  const ended = () => order.ended(envelope);
  const parcel = await courier.open(envelope);
  if (typeof parcel === "string") {
    ended();
    return parcel;
  }
  return {
    write: (chunk) => parcel.write(chunk),
    finish: () => parcel.finish().finally(ended),
    abort: () => {
      parcel.abort();
      ended();
    },
  };
}

export interface HttpsDeliveryOptions extends FailureHandlers {
  /** 0 takes a free one. */
  port: number;
  /** A text is the reply that refuses. */
  open: (envelope: Envelope) => Promise<Parcel | string>;
}

export interface HttpsDelivery extends SocketServer {
  port: number;
}

const maxLineBytes = 2048;
const maxRecipients = 1000;
const idleMs = 400_000;
const notByThisRoute = "451 4.1.3 not a recipient of HTTPS delivery";
const internalError = "451 4.3.0 the relay daemon has a problem";

export async function openHttpsDelivery(options: HttpsDeliveryOptions): Promise<HttpsDelivery> {
  const server = await openSocketServer({ ...options, at: options.port, idleMs }, () => new Session(options));
  return { ...server, port: Number(server.path.split(":").at(-1)) };
}

/** A command's line, or a part of a message. */
type Piece = { line: string } | { data: Buffer; isLast: boolean };

class Session implements Dialogue<Piece> {
  readonly greeting = "220 relay ESMTP\r\n";
  readonly #options: HttpsDeliveryOptions;
  /** What has come of a line that is not whole yet. */
  #rest: Buffer = Buffer.alloc(0);
  #sender: string | undefined;
  #sizeBytes: number | undefined;
  #recipients: string[] = [];
  #destination: string | undefined;
  /** From the answer 354 to the message's end. */
  #message: { parcel: Parcel; end: DataEnd } | undefined;

  constructor(options: HttpsDeliveryOptions) {
    this.#options = options;
  }

  owing(): boolean {
    return this.#sender !== undefined;
  }

  ended(): void {
    this.#message?.parcel.abort();
  }

  /** Lazy: whether a line or a message comes next, the answer to the line before decides. */
  *questions(chunk: Buffer): Generator<Piece> {
    let bytes: Buffer = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#rest = Buffer.alloc(0);
    while (bytes.length > 0) {
      if (this.#message) {
        const { data, rest } = this.#message.end.push(bytes);
        yield { data, isLast: rest !== undefined };
        bytes = rest ?? Buffer.alloc(0);
        continue;
      }
      const at = bytes.indexOf("\n");
      if ((at < 0 ? bytes.length : at) > maxLineBytes) throw new ProtocolError("line too long");
      if (at < 0) {
        this.#rest = Buffer.from(bytes);
        return;
      }
      yield { line: bytes.toString("latin1", 0, at).replace(/\r$/, "") };
      bytes = bytes.subarray(at + 1);
    }
  }

  async answer(piece: Piece): Promise<Answer> {
    if (!("line" in piece)) return this.#content(piece);
    const command = parseCommand(piece.line);
    if (command.kind === "quit") return new LastAnswer("221 2.0.0 Bye\r\n");
    return `${command.kind === "data" ? await this.#begin() : this.#reply(command)}\r\n`;
  }

  #reply(command: Command): string {
    switch (command.kind) {
      case "hello":
        this.#reset();
        return command.extended
          ? "250-relay\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 SIZE"
          : "250 relay";
      case "mail":
        if (this.#sender !== undefined) return "503 5.5.1 nested MAIL";
        this.#sender = command.sender;
        this.#sizeBytes = command.sizeBytes;
        return "250 2.1.0 OK";
      case "recipient":
        return this.#recipient(command.address);
      case "oddAddress":
        return notByThisRoute;
      case "reset":
        this.#reset();
        return "250 2.0.0 OK";
      case "noop":
        return "250 2.0.0 OK";
      default:
        return "500 5.5.2 not understood";
    }
  }

  #recipient(address: string): string {
    if (this.#sender === undefined) return "503 5.5.1 MAIL first";
    const destination = destinationOf(address);
    if (destination === undefined) return notByThisRoute;
    this.#destination ??= destination;
    if (destination !== this.#destination) return "451 4.5.3 one domain at a time";
    if (this.#recipients.length >= maxRecipients) return "452 4.5.3 too many recipients";
    this.#recipients.push(address);
    return "250 2.1.5 OK";
  }

  async #begin(): Promise<string> {
    const [sender, destination] = [this.#sender, this.#destination];
    if (sender === undefined || destination === undefined) return "503 5.5.1 no recipient";
    const envelope = { sender, destination, recipients: this.#recipients, sizeBytes: this.#sizeBytes };
    const parcel = await this.#guard(() => this.#options.open(envelope));
    if (typeof parcel === "string") {
      this.#reset();
      return parcel;
    }
    this.#message = { parcel, end: new DataEnd() };
    return "354 End data with <CR><LF>.<CR><LF>";
  }

  /** Goes on reading after the peer of the parcel has failed; `finish` tells why. */
  async #content({ data, isLast }: Extract<Piece, { data: Buffer }>): Promise<Answer> {
    const parcel = this.#message?.parcel;
    if (!parcel) return undefined;
    if (data.length > 0) await parcel.write(data);
    if (!isLast) return undefined;
    this.#message = undefined;
    const reply = await this.#guard(() => parcel.finish());
    this.#reset();
    return `${reply}\r\n`;
  }

  async #guard<T>(work: () => Promise<T>): Promise<T | string> {
    try {
      return await work();
    } catch (thrown) {
      this.#options.onFailure(thrown);
      return internalError;
    }
  }

  #reset(): void {
    this.#sender = undefined;
    this.#destination = undefined;
    this.#sizeBytes = undefined;
    this.#recipients = [];
  }
}
