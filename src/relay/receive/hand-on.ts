/**
 * Hands a mail to Postfix's own smtpd for what came by HTTPS: the same milter and the same rules as
 * port 25.
 */
import { connect, isIPv6, type Socket } from "node:net";
import { LineReader } from "../../lib/lines.ts";
import { drained } from "../wire/conversation.ts";
import type { Envelope } from "./policy.ts";

/** A message that smtpd is ready to take. */
export interface Handing {
  write(chunk: Buffer): Promise<void>;
  /** Postfix's reply. */
  finish(): Promise<string>;
  /** Postfix forgets the message. */
  abort(): void;
}

const patienceMs = 300_000;

/**
 * A text is the reply that refused the sender or a recipient. `client` is the IP address that the
 * mail comes from: Postfix and its milters take it for their client's (XCLIENT). Throws when
 * Postfix is not there.
 */
export async function handOn(
  port: number,
  { envelope, client }: { envelope: Envelope; client: string | undefined },
): Promise<Handing | string> {
  const session = new Session(port);
  try {
    let greeting = await session.reply();
    if (greeting.startsWith("220") && client !== undefined) {
      session.say(`XCLIENT NAME=[UNAVAILABLE] ADDR=${isIPv6(client) ? "IPV6:" : ""}${client}`);
      greeting = await session.reply();
    }
    if (!greeting.startsWith("220")) return session.end(greeting);
    session.say("EHLO localhost");
    const hello = await session.reply();
    if (!hello.startsWith("250")) return session.end(hello);
    const { sender, recipients } = envelope;
    session.say(`MAIL FROM:<${sender}> BODY=8BITMIME`, ...recipients.map((each) => `RCPT TO:<${each}>`), "DATA");
    const replies: string[] = [];
    while (replies.length < recipients.length + 2) replies.push(await session.reply());
    const data = replies.pop() ?? "";
    const refusal = replies.find((reply) => !reply.startsWith("2"));
    if (refusal !== undefined || !data.startsWith("354")) return session.end(refusal ?? data);
    return session.handing();
  } catch (thrown) {
    session.end("");
    throw thrown;
  }
}

class Session {
  readonly #socket: Socket;
  readonly #replies: AsyncIterator<string>;

  constructor(port: number) {
    this.#socket = connect({ host: "127.0.0.1", port, noDelay: true });
    this.#socket.setTimeout(patienceMs, () => this.#socket.destroy(new Error("Postfix says nothing")));
    this.#socket.on("error", () => undefined);
    this.#replies = repliesOf(this.#socket);
  }

  say(...commands: string[]): void {
    this.#socket.write(commands.map((each) => `${each}\r\n`).join(""));
  }

  async reply(): Promise<string> {
    const { value, done } = await this.#replies.next();
    if (done) throw new Error("Postfix ended the session");
    return value;
  }

  /** Drops the session in the middle; returns `reply`. */
  end(reply: string): string {
    this.#socket.destroy();
    return reply;
  }

  handing(): Handing {
    const socket = this.#socket;
    return {
      write: async (chunk) => {
        if (!socket.destroyed && !socket.write(chunk)) await drained(socket);
      },
      finish: async () => {
        this.say(".");
        const reply = await this.reply();
        socket.end("QUIT\r\n");
        return reply;
      },
      abort: () => void socket.destroy(),
    };
  }
}

/** The last line of each reply, codes included. */
async function* repliesOf(socket: Socket): AsyncGenerator<string, undefined> {
  const reader = new LineReader(4096);
  for await (const chunk of socket) {
    for (const line of reader.push(chunk as Buffer)) {
      const text = line.toString("latin1").trimEnd();
      if (text[3] !== "-") yield text;
    }
  }
  return undefined;
}
