/**
 * The load: one connection that submits mail after mail, over SMTP with TLS and login or over LMTP,
 * with as few packets as the protocols allow.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

export interface Mail {
  from: string;
  to: string;
  /** With CRLF and without the last dot. None of its lines begins with a dot. */
  data: string;
}

export interface Login {
  user: string;
  password: string;
}

/** A peer that says nothing for so long is gone. */
const silenceMs = 60_000;

export class Sender {
  readonly #socket: Socket;
  #held = "";
  #replies: string[] = [];
  #ended: Error | undefined;
  #wake: (() => void) | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.setTimeout(silenceMs, () => socket.destroy(new Error(`silence of ${silenceMs} ms`)));
    socket.on("data", (chunk: Buffer) => this.#take(chunk.toString("latin1")));
    socket.on("error", (error) => this.#end(error));
    socket.on("close", () => this.#end(new Error("the server closed the connection")));
  }

  static async smtp(address: { host: string; port: number }, login: Login): Promise<Sender> {
    const socket = connectTls({ ...address, servername: "_relay.test", rejectUnauthorized: false });
    await once(socket, "secureConnect");
    const sender = new Sender(socket);
    const secret = Buffer.from(`\0${login.user}\0${login.password}`).toString("base64");
    await sender.#expect(["220"]);
    await sender.#say("EHLO client.test\r\n", ["250"]);
    await sender.#say(`AUTH PLAIN ${secret}\r\n`, ["235"]);
    return sender;
  }

  static async lmtp(path: string): Promise<Sender> {
    const socket = connect({ path });
    await once(socket, "connect");
    const sender = new Sender(socket);
    await sender.#expect(["220"]);
    await sender.#say("LHLO client.test\r\n", ["250"]);
    return sender;
  }

  /** Resolves when the server has taken the mail; throws what it said instead. */
  async send({ from, to, data }: Mail): Promise<void> {
    await this.#say(`MAIL FROM:<${from}>\r\nRCPT TO:<${to}>\r\nDATA\r\n`, ["250", "250", "354"]);
    await this.#say(`${data}.\r\n`, ["250"]);
  }

  close(): void {
    this.#socket.destroy();
  }

  async #say(text: string, codes: readonly string[]): Promise<void> {
    this.#socket.write(text, "latin1");
    await this.#expect(codes);
  }

  async #expect(codes: readonly string[]): Promise<void> {
    for (const code of codes) {
      const reply = await this.#reply();
      if (!reply.startsWith(code)) throw new Error(`expected ${code}, got: ${reply}`);
    }
  }

  async #reply(): Promise<string> {
    for (;;) {
      const reply = this.#replies.shift();
      if (reply !== undefined) return reply;
      if (this.#ended) throw this.#ended;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Of a reply of several lines the last one counts: its code is followed by a blank. */
  #take(text: string): void {
    const lines = (this.#held + text).split("\r\n");
    this.#held = lines.pop() ?? "";
    this.#replies.push(...lines.filter((line) => line[3] !== "-"));
    this.#wake?.();
  }

  #end(error: Error): void {
    this.#ended ??= error;
    this.#wake?.();
  }
}
