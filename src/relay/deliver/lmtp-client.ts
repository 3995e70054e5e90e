/** Delivers to Dovecot by LMTP. Connections are kept for a few seconds, since a new one costs Dovecot more than a mail. */
import { connect, type Socket } from "node:net";
import { drained } from "../in-turn.ts";
import type { Envelope, Parcel } from "./server.ts";

const silenceMs = 300_000;
const connectMs = 5_000;
const keepMs = 5_000;
const mostKept = 8;
const unavailable = "451 4.3.0 the mailboxes can't be reached";

export class LmtpClient {
  readonly #path: string;
  readonly #kept = new Map<Connection, NodeJS.Timeout>();

  constructor(path: string) {
    this.#path = path;
  }

  /** A text is the reply for all recipients. A kept connection that has ended meanwhile is replaced. */
  async open(envelope: Envelope): Promise<Parcel | string> {
    for (const kept of [true, false]) {
      const connection = kept ? this.#take() : await Connection.open(this.#path).catch(() => undefined);
      if (!connection) continue;
      try {
        return await this.#begin(connection, envelope);
      } catch {
        connection.destroy();
      }
    }
    return unavailable;
  }

  close(): void {
    for (const [connection, timer] of this.#kept) {
      clearTimeout(timer);
      connection.destroy();
    }
    this.#kept.clear();
  }

  async #begin(connection: Connection, { sender, recipients }: Envelope): Promise<Parcel> {
    const commands = [`MAIL FROM:<${sender}>`, ...recipients.map((each) => `RCPT TO:<${each}>`), "DATA"];
    connection.write(`${commands.join("\r\n")}\r\n`);
    const mail = await connection.reply();
    const replies: string[] = [];
    for (const _ of recipients) replies.push(await connection.reply());
    const data = await connection.reply();
    const open = data.startsWith("354");
    const refused = mail.startsWith("2") ? data : mail;
    /** Of each recipient; undefined where Dovecot answers after the message. */
    const early = replies.map((reply) => (!reply.startsWith("2") ? reply : open ? undefined : refused));
    return {
      write: async (chunk) => {
        if (open) await connection.send(chunk);
      },
      finish: async () => {
        try {
          if (open) connection.write(".\r\n");
          const all: string[] = [];
          for (const reply of early) all.push(reply ?? (await connection.reply()));
          if (open) this.#keep(connection);
          else connection.destroy();
          return all;
        } catch {
          connection.destroy();
          return early.map((reply) => reply ?? unavailable);
        }
      },
      abort: () => connection.destroy(),
    };
  }

  #take(): Connection | undefined {
    for (const [connection, timer] of this.#kept) {
      clearTimeout(timer);
      this.#kept.delete(connection);
      if (!connection.ended) return connection;
    }
    return undefined;
  }

  #keep(connection: Connection): void {
    if (this.#kept.size >= mostKept || connection.ended) {
      connection.destroy();
      return;
    }
    const end = () => {
      this.#kept.delete(connection);
      connection.destroy();
    };
    this.#kept.set(connection, setTimeout(end, keepMs).unref());
  }
}

class Connection {
  readonly #socket: Socket;
  readonly #replies: string[] = [];
  #held = "";
  #waiting: { resolve(reply: string): void; reject(error: Error): void } | undefined;
  #error: Error | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setTimeout(connectMs, () => socket.destroy(new Error("Dovecot does not answer")));
    socket.on("data", (chunk: Buffer) => this.#push(chunk));
    socket.on("error", (error) => this.#end(error));
    socket.on("close", () => this.#end(new Error("Dovecot ended the connection")));
  }

  static async open(path: string): Promise<Connection> {
    const socket = connect({ path });
    const connection = new Connection(socket);
    try {
      for (const [command, code] of [
        ["", "220"],
        ["LHLO relay\r\n", "250"],
      ] as const) {
        if (command !== "") connection.write(command);
        const reply = await connection.reply();
        if (!reply.startsWith(code)) throw new Error(`Dovecot said ${reply.slice(0, 3)}`);
      }
      socket.setTimeout(silenceMs);
      return connection;
    } catch (thrown) {
      connection.destroy();
      throw thrown;
    }
  }

  get ended(): boolean {
    return this.#error !== undefined || this.#socket.destroyed;
  }

  write(text: string): void {
    if (!this.#socket.destroyed) this.#socket.write(text, "latin1");
  }

  /** Waits while Dovecot takes less than comes. */
  async send(chunk: Buffer): Promise<void> {
    if (this.#socket.destroyed) return;
    this.#socket.write(chunk);
    await drained(this.#socket);
  }

  /** The last line of the next reply. */
  reply(): Promise<string> {
    const next = this.#replies.shift();
    if (next !== undefined) return Promise.resolve(next);
    if (this.#error) return Promise.reject(this.#error);
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #push(chunk: Buffer): void {
    const lines = (this.#held + chunk.toString("latin1")).split(/\r?\n/);
    this.#held = lines.pop() ?? "";
    if (this.#held.length > 10_000) this.#socket.destroy(new Error("a line of Dovecot's is too long"));
    this.#replies.push(...lines.filter((line) => line[3] !== "-"));
    const waiting = this.#waiting;
    const next = waiting && this.#replies.shift();
    if (next === undefined) return;
    this.#waiting = undefined;
    waiting?.resolve(next);
  }

  #end(error: Error): void {
    this.#error ??= error;
    this.#waiting?.reject(this.#error);
    this.#waiting = undefined;
  }
}
