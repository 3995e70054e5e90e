/**
 * LMTP (RFC 2033) as its client: one connection that takes message after message, with as few
 * packets as the protocol allows.
 */
import { connect, type Socket } from "node:net";
import { LineReader } from "../../lib/lines.ts";

export interface LmtpMessage {
  /** Without angle brackets. Neither has characters that would end its command. */
  sender: string;
  recipients: readonly string[];
  /** Dot-stuffed, and ends with the line of a dot. */
  content: Buffer;
}

/**
 * The connection has ended. `sent`: the content was on its way, so the message may have arrived.
 * `silent`: the server did not answer in time.
 */
export class LmtpLost extends Error {
  override readonly name = "LmtpLost";
  readonly sent: boolean;
  readonly silent: boolean;

  constructor(message: string, how: { sent: boolean; silent: boolean }) {
    super(message);
    this.sent = how.sent;
    this.silent = how.silent;
  }
}

export interface LmtpPatience {
  /** For the answers to commands. */
  commandMs: number;
  /** For the answers to the content: the server writes it to the disk. */
  contentMs: number;
}

const maxLineBytes = 4096;
const noAnswer = "no answer";

export class LmtpConnection {
  readonly #socket: Socket;
  readonly #patience: LmtpPatience;
  readonly #reader = new LineReader(maxLineBytes);
  readonly #replies: string[] = [];
  readonly #openedAt = performance.now();
  #wake: (() => void) | undefined;
  #ended: string | undefined;
  #sent = false;
  #uses = 0;

  private constructor(path: string, patience: LmtpPatience, onEnd: (connection: LmtpConnection) => void) {
    this.#patience = patience;
    this.#socket = connect({ path });
    this.#socket.setTimeout(patience.commandMs, () => this.#end(noAnswer));
    this.#socket.on("data", (chunk) => this.#take(chunk));
    this.#socket.on("error", (error) => this.#end(error.message));
    this.#socket.on("close", () => {
      this.#end("the server closed the connection");
      onEnd(this);
    });
  }

  /** Throws LmtpLost. `onEnd`: it is closed, by whichever side. */
  static async open(
    path: string,
    patience: LmtpPatience,
    onEnd: (connection: LmtpConnection) => void,
  ): Promise<LmtpConnection> {
    const connection = new LmtpConnection(path, patience, onEnd);
    await connection.#expect("220");
    connection.#socket.write("LHLO localhost\r\n");
    await connection.#expect("250");
    return connection;
  }

  get ageMs(): number {
    return performance.now() - this.#openedAt;
  }

  /** It has taken a message before. */
  get used(): boolean {
    return this.#uses > 0;
  }

  get isOpen(): boolean {
    return this.#ended === undefined;
  }

  /**
   * The recipients whose copy the server has taken. After it the connection can take another
   * message, if it is still open. Throws LmtpLost.
   */
  async deliver({ sender, recipients, content }: LmtpMessage): Promise<string[]> {
    this.#sent = false;
    this.#socket.setTimeout(this.#patience.commandMs);
    const commands = [`MAIL FROM:<${sender}> BODY=8BITMIME`, ...recipients.map((each) => `RCPT TO:<${each}>`), "DATA"];
    this.#socket.write(commands.map((each) => `${each}\r\n`).join(""), "latin1");
    await this.#reply();
    const accepted: string[] = [];
    for (const recipient of recipients) if (isYes(await this.#reply())) accepted.push(recipient);
    if (!(await this.#reply()).startsWith("354")) {
      this.close();
      return [];
    }
    this.#sent = true;
    this.#socket.setTimeout(this.#patience.contentMs);
    this.#socket.write(content);
    const taken: string[] = [];
    // one answer for each recipient that was accepted
    for (const recipient of accepted) if (isYes(await this.#reply())) taken.push(recipient);
    this.#uses++;
    this.#socket.setTimeout(0);
    return taken;
  }

  close(): void {
    this.#socket.destroy();
  }

  async #expect(code: string): Promise<void> {
    const reply = await this.#reply();
    if (reply.startsWith(code)) return;
    this.#end(reply);
    throw new LmtpLost(reply, { sent: false, silent: false });
  }

  async #reply(): Promise<string> {
    for (;;) {
      const reply = this.#replies.shift();
      if (reply !== undefined) return reply;
      const why = this.#ended;
      if (why !== undefined) throw new LmtpLost(why, { sent: this.#sent, silent: why === noAnswer });
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Of a reply of several lines the last one counts: its code is followed by a blank. */
  #take(chunk: Buffer): void {
    try {
      for (const line of this.#reader.push(chunk)) if (line[3] !== 0x2d) this.#replies.push(line.toString("latin1"));
    } catch {
      this.#end("a reply that is too long");
    }
    this.#wake?.();
  }

  #end(why: string): void {
    this.#ended ??= why;
    this.#socket.destroy();
    this.#wake?.();
  }
}

const isYes = (reply: string) => reply.startsWith("2");
