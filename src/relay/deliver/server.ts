/**
 * SMTP on the pod's loopback, where Postfix hands over what goes by HTTPS; its own client, so the queue, the order and the retries are Postfix's.
 * One transaction has recipients of one domain, as Postfix makes them. A 4xx answer sends Postfix to the next hop of its list, which is SMTP.
 */
import { type AddressInfo, createServer, type Socket } from "node:net";
import { destinationOf } from "../route/domain.ts";
import { drained } from "../wire/in-turn.ts";
import { closeServer, type Door } from "../wire/unix-socket.ts";
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

export interface RoadDoorOptions {
  /** 0 takes a free one. */
  port: number;
  /** A text is the reply that refuses. */
  open: (envelope: Envelope) => Promise<Parcel | string>;
  onFailure: (thrown: unknown) => void;
  onProtocolError(why: string): void;
}

export interface RoadDoor extends Door {
  port: number;
}

const maxLineBytes = 2048;
const maxRecipients = 1000;
const idleMs = 400_000;
const notByThisRoad = "451 4.1.3 not by this road";
const trouble = "451 4.3.0 the relay daemon has a problem";

export async function openRoadDoor(options: RoadDoorOptions): Promise<RoadDoor> {
  const open = new Map<Socket, Session>();
  const server = createServer((socket) => {
    const session = new Session(socket, options);
    open.set(socket, session);
    socket.once("close", () => open.delete(socket));
    socket.on("error", () => socket.destroy());
    void session.run();
  });
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
    close: (graceMs) =>
      closeServer(server, graceMs, (last) => {
        for (const [socket, session] of open) if (last || !session.owing()) socket.destroy();
      }),
  };
}

class Session {
  readonly #socket: Socket;
  readonly #options: RoadDoorOptions;
  readonly #chunks: AsyncIterator<Buffer>;
  #bytes: Buffer = Buffer.alloc(0);
  #sender: string | undefined;
  #sizeBytes: number | undefined;
  #recipients: string[] = [];
  #destination: string | undefined;

  constructor(socket: Socket, options: RoadDoorOptions) {
    this.#socket = socket;
    this.#options = options;
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
        const command = parseCommand(line);
        if (command.kind === "quit") {
          this.#socket.end("221 2.0.0 Bye\r\n");
          return;
        }
        if (command.kind === "data") await this.#data();
        else this.#reply(this.#answer(command));
        await drained(this.#socket);
      }
    } catch (thrown) {
      if (!this.#socket.destroyed) this.#options.onFailure(thrown);
    } finally {
      this.#socket.destroy();
    }
  }

  #answer(command: Command): string {
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

  #recipient(address: string): string {
    if (this.#sender === undefined) return "503 5.5.1 MAIL first";
    const destination = destinationOf(address);
    if (destination === undefined) return notByThisRoad;
    this.#destination ??= destination;
    if (destination !== this.#destination) return "451 4.5.3 one domain at a time";
    if (this.#recipients.length >= maxRecipients) return "452 4.5.3 too many recipients";
    this.#recipients.push(address);
    return "250 2.1.5 OK";
  }

  async #data(): Promise<void> {
    const [sender, destination] = [this.#sender, this.#destination];
    if (sender === undefined || destination === undefined) return this.#reply("503 5.5.1 no recipient");
    const envelope = { sender, destination, recipients: this.#recipients, sizeBytes: this.#sizeBytes };
    const parcel = await this.#guard(() => this.#options.open(envelope));
    if (typeof parcel === "string") {
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
    this.#reset();
    this.#reply(reply);
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

  #reset(): void {
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
