/** A small SMTP client that shows every reply. */
import { type Address, LineSocket, type Tls } from "./line-socket.ts";

export interface Reply {
  code: number;
  /** The whole reply, lines joined by newlines, codes included. */
  text: string;
}

const tlsAt: Record<number, Tls> = { 465: {}, 443: { alpn: ["smtp"] } };

export class SmtpClient {
  readonly #socket: LineSocket;
  readonly greeting: Reply;
  /** Reply to the last EHLO: what the server offers. */
  offers = "";

  private constructor(socket: LineSocket, greeting: Reply) {
    this.#socket = socket;
    this.greeting = greeting;
  }

  get sha256(): string {
    return this.#socket.shown.sha256;
  }

  /** Port 465 starts in TLS, 443 too and asks for smtp; the others in the clear. Says EHLO. */
  static async open(address: Address): Promise<SmtpClient> {
    const socket = await LineSocket.open(address, tlsAt[address.port]);
    return socket.begin(async () => {
      const client = new SmtpClient(socket, await readReply(socket));
      await client.#hello();
      return client;
    });
  }

  /** Open, in TLS and, with credentials, logged in. */
  static async ready(address: Address, user?: string, password?: string): Promise<SmtpClient> {
    const client = await SmtpClient.open(address);
    return client.#socket.begin(async () => {
      if (!tlsAt[address.port]) await client.startTls();
      if (user !== undefined) expectCode(await client.login(user, password ?? ""), 235);
      return client;
    });
  }

  async say(line: string): Promise<Reply> {
    this.#socket.write(`${line}\r\n`);
    return readReply(this.#socket);
  }

  /**
   * Says all of them, each in a packet of its own, and waits for no reply in between (RFC 2920).
   */
  async sayAll(...lines: readonly string[]): Promise<Reply[]> {
    for (const line of lines) {
      this.#socket.write(`${line}\r\n`);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const replies: Reply[] = [];
    while (replies.length < lines.length) replies.push(await readReply(this.#socket));
    return replies;
  }

  async startTls(tls: Tls = {}): Promise<void> {
    expectCode(await this.say("STARTTLS"), 220);
    await this.#socket.startTls(tls);
    await this.#hello();
  }

  login(user: string, password: string): Promise<Reply> {
    return this.say(`AUTH PLAIN ${Buffer.from(`\0${user}\0${password}`).toString("base64")}`);
  }

  /** The reply that ended it: of the last dot, or of the first step that was refused. */
  async send(mail: { from: string; to: readonly string[]; data: string | Buffer }): Promise<Reply> {
    const steps = [`MAIL FROM:<${mail.from}>`, ...mail.to.map((to) => `RCPT TO:<${to}>`), "DATA"];
    for (const step of steps) {
      const reply = await this.say(step);
      if (reply.code >= 400) {
        await this.say("RSET");
        return reply;
      }
    }
    return this.finish(mail.data);
  }

  /** What follows DATA, up to its reply. */
  finish(data: string | Buffer): Promise<Reply> {
    const encoding = typeof data === "string" ? "utf8" : "latin1";
    this.#socket.write(Buffer.from(`${data.toString(encoding).replaceAll(/^\./gm, "..")}.\r\n`, encoding));
    return readReply(this.#socket);
  }

  async quit(): Promise<void> {
    await this.say("QUIT").catch(() => undefined);
    this.#socket.destroy();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  async #hello() {
    this.offers = (await this.say("EHLO client.test")).text;
  }
}

async function readReply(socket: LineSocket): Promise<Reply> {
  const lines: string[] = [];
  for (;;) {
    const line = await socket.line();
    lines.push(line);
    if (line[3] !== "-") return { code: Number(line.slice(0, 3)), text: lines.join("\n") };
  }
}

function expectCode(reply: Reply, code: number) {
  if (reply.code !== code) throw new Error(`expected ${code}, got: ${reply.text}`);
}
