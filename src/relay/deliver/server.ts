/**
 * Where Postfix delivers through the daemon, so that each mail waits for its turn (decision 0029); queue and retries are Postfix's.
 * By SMTP on the pod's loopback comes what goes by HTTPS: a transaction has recipients of one domain, and a 4xx answer sends Postfix
 * to the next hop of its list, which is SMTP. By LMTP on a unix socket comes what goes to Dovecot; each recipient has its own answer.
 */
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { heldBackReply } from "../../mail/postfix.ts";
import { drained } from "../in-turn.ts";
import type { DeliveryOrder, Outcome } from "../order/order.ts";
import { destinationOf } from "../route/domain.ts";
import { closeServer, type Door, listenOn } from "../unix-socket.ts";
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
  /** The reply to the message's end: one for all recipients, or one for each. */
  finish(): Promise<string | readonly string[]>;
  abort(): void;
}

interface DeliveryOptions {
  /** A text is the reply that refuses. */
  open(envelope: Envelope): Promise<Parcel | string>;
  /** Without it no mail waits for another. */
  order?: Pick<DeliveryOrder, "turn" | "settled">;
  onFailure(thrown: unknown): void;
  onProtocolError(why: string): void;
}

export interface RoadDoorOptions extends DeliveryOptions {
  /** 0 takes a free one. */
  port: number;
}

export interface LocalDeliveryOptions extends DeliveryOptions {
  path: string;
}

export interface RoadDoor extends Door {
  port: number;
}

const maxLineBytes = 2048;
const maxRecipients = 1000;
const idleMs = 400_000;
const notByThisRoad = "451 4.1.3 not by this road";
const trouble = "451 4.3.0 the relay daemon has a problem";

/** Replies that mean that nobody was there to refuse the mail. */
const unreached = /^451 4\.3\.0 /;

export async function openRoadDoor(options: RoadDoorOptions): Promise<RoadDoor> {
  const { server, close } = deliveryServer(options, "smtp");
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host: "127.0.0.1", port: options.port, backlog: 1024 }, () => {
      server.off("error", reject);
      resolve();
    });
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    path: `127.0.0.1:${port}`,
    listening: () => server.listening,
    close,
  };
}

export async function openLocalDelivery(options: LocalDeliveryOptions): Promise<Door> {
  const { server, close } = deliveryServer(options, "lmtp");
  await listenOn(server, options.path);
  return { path: options.path, listening: () => server.listening, close };
}

function deliveryServer(options: DeliveryOptions, protocol: Protocol): { server: Server; close: Door["close"] } {
  const open = new Map<Socket, Session>();
  const server = createServer((socket) => {
    const session = new Session(socket, options, protocol);
    open.set(socket, session);
    socket.once("close", () => open.delete(socket));
    socket.on("error", () => socket.destroy());
    void session.run();
  });
  const close = (graceMs: number) =>
    closeServer(server, graceMs, (last) => {
      for (const [socket, session] of open) if (last || !session.owing()) socket.destroy();
    });
  return { server, close };
}

type Protocol = "smtp" | "lmtp";

class Session {
  readonly #socket: Socket;
  readonly #options: DeliveryOptions;
  readonly #protocol: Protocol;
  readonly #chunks: AsyncIterator<Buffer>;
  #bytes: Buffer = Buffer.alloc(0);
  #sender: string | undefined;
  #sizeBytes: number | undefined;
  #recipients: string[] = [];
  #destination: string | undefined;
  /** Of the mail; Postfix gives it before MAIL. */
  #id = "";

  constructor(socket: Socket, options: DeliveryOptions, protocol: Protocol) {
    this.#socket = socket;
    this.#options = options;
    this.#protocol = protocol;
    this.#chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    socket.setNoDelay(true);
    socket.setTimeout(idleMs, () => socket.destroy());
  }

  owing(): boolean {
    return this.#sender !== undefined;
  }

  async run(): Promise<void> {
    try {
      this.#reply("220 relay ESMTP");
      for (;;) {
        const line = await this.#line();
        if (line === undefined) return;
        const command = parseCommand(line, { anyAddress: this.#protocol === "lmtp" });
        if (command.kind === "quit") {
          this.#socket.end("221 2.0.0 Bye\r\n");
          return;
        }
        if (command.kind === "data") await this.#data();
        else if (command.kind === "recipient") this.#reply(await this.#recipient(command.address));
        else this.#reply(this.#answer(command));
        await drained(this.#socket);
      }
    } catch (thrown) {
      if (!this.#socket.destroyed) this.#options.onFailure(thrown);
    } finally {
      this.#reset();
      this.#socket.destroy();
    }
  }

  #answer(command: Exclude<Command, { kind: "recipient" }>): string {
    switch (command.kind) {
      case "hello":
        this.#reset();
        return command.extended
          ? "250-relay\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250-XFORWARD IDENT\r\n250 SIZE"
          : "250 relay";
      case "forward":
        this.#id = command.id ?? this.#id;
        return "250 2.0.0 OK";
      case "mail":
        if (this.#sender !== undefined) return "503 5.5.1 nested MAIL";
        this.#sender = command.sender;
        this.#sizeBytes = command.sizeBytes;
        return "250 2.1.0 OK";
      case "oddAddress":
        return notByThisRoad;
      case "reset":
        this.#reset();
        return "250 2.0.0 OK";
      case "noop":
        return "250 2.0.0 OK";
      default:
        return "500 5.5.2 not understood";
    }
  }

  async #recipient(address: string): Promise<string> {
    const sender = this.#sender;
    if (sender === undefined) return "503 5.5.1 MAIL first";
    if (this.#recipients.length >= maxRecipients) return "452 4.5.3 too many recipients";
    const destination = this.#protocol === "lmtp" ? "" : destinationOf(address);
    if (destination === undefined) return notByThisRoad;
    this.#destination ??= destination;
    if (destination !== this.#destination) return "451 4.5.3 one domain at a time";
    const { order } = this.#options;
    if (order && !(await order.turn({ id: this.#id, sender, recipient: address })))
      return heldBackReply[this.#protocol];
    this.#recipients.push(address);
    return "250 2.1.5 OK";
  }

  async #data(): Promise<void> {
    const [sender, destination, recipients] = [this.#sender, this.#destination, this.#recipients];
    if (sender === undefined || destination === undefined || recipients.length === 0) {
      return this.#reply("503 5.5.1 no recipient");
    }
    const envelope = { sender, destination, recipients, sizeBytes: this.#sizeBytes };
    const parcel = await this.#guard(() => this.#options.open(envelope));
    if (typeof parcel === "string") {
      this.#settle(recipients.map(() => parcel));
      this.#reset();
      return this.#reply(parcel);
    }
    this.#reply("354 End data with <CR><LF>.<CR><LF>");
    const whole = await this.#message(parcel).catch((thrown) => {
      parcel.abort();
      throw thrown;
    });
    if (!whole) {
      parcel.abort();
      throw new Error("Postfix ended its session within a message");
    }
    const reply = await this.#guard(() => parcel.finish());
    const replies = typeof reply === "string" ? recipients.map(() => reply) : reply;
    this.#settle(replies);
    this.#reset();
    const [first = trouble] = replies;
    this.#reply(this.#protocol === "lmtp" ? replies.join("\r\n") : first);
  }

  /** One reply for each recipient, in their order. */
  #settle(replies: readonly string[]): void {
    const [id, sender] = [this.#id, this.#sender];
    if (sender === undefined) return;
    for (const [at, recipient] of this.#recipients.entries()) {
      this.#options.order?.settled({ id, sender, recipient }, this.#outcomeOf(replies[at] ?? trouble));
    }
    this.#recipients = [];
  }

  #outcomeOf(reply: string): Outcome {
    if (!reply.startsWith("4")) return "done";
    if (this.#protocol === "smtp") return "elsewhere";
    return unreached.test(reply) ? "unreached" : "refused";
  }

  /** False when the peer is gone before the end. Goes on reading after the peer of the parcel has failed; `finish` tells why. */
  async #message(parcel: Parcel): Promise<boolean> {
    const scanner = new DataEnd();
    for (let bytes: Buffer | undefined = this.#take(); bytes; bytes = await this.#next()) {
      const { data, rest } = scanner.push(bytes);
      if (data.length > 0) await parcel.write(data);
      if (rest) {
        this.#bytes = Buffer.from(rest);
        return true;
      }
    }
    return false;
  }

  async #guard<T>(work: () => Promise<T>): Promise<T | string> {
    try {
      return await work();
    } catch (thrown) {
      this.#options.onFailure(thrown);
      return trouble;
    }
  }

  /** What had its turn and was not delivered is tried again. */
  #reset(): void {
    this.#settle([]);
    this.#sender = undefined;
    this.#destination = undefined;
    this.#sizeBytes = undefined;
    this.#recipients = [];
  }

  #reply(text: string): void {
    if (!this.#socket.destroyed) this.#socket.write(`${text}\r\n`);
  }

  #take(): Buffer {
    const bytes = this.#bytes;
    this.#bytes = Buffer.alloc(0);
    return bytes;
  }

  async #next(): Promise<Buffer | undefined> {
    const { value, done } = await this.#chunks.next();
    return done ? undefined : value;
  }

  async #line(): Promise<string | undefined> {
    for (;;) {
      const at = this.#bytes.indexOf("\n");
      if (at > maxLineBytes || (at < 0 && this.#bytes.length > maxLineBytes)) {
        this.#options.onProtocolError("line too long");
        return undefined;
      }
      if (at >= 0) {
        const line = this.#bytes.toString("latin1", 0, at).replace(/\r$/, "");
        this.#bytes = this.#bytes.subarray(at + 1);
        return line;
      }
      const more = await this.#next();
      if (!more) return undefined;
      this.#bytes = Buffer.concat([this.#bytes, more]);
    }
  }
}
