/**
 * The other side of a milter socket, as Postfix is it: negotiates version 6, sends one message, and
 * reads every answer off the wire.
 */
import { once } from "node:events";
import { createConnection, type Socket } from "node:net";

export interface MilterAnswer {
  /** c, a, d, t, s, y … */
  command: string;
  data: Buffer;
}

export interface MilterMessage {
  sender: string;
  recipients: readonly string[];
  /** As it is declared, whatever it is. */
  size?: number;
  /** Of each RCPT, such as "NOTIFY=NEVER". */
  parameters?: readonly string[];
  /** Values with their leading space; folds with LF. */
  headers: readonly (readonly [name: string, value: string])[];
  /** With CRLF line ends. */
  body: Buffer | string;
}

export interface MilterVerdict {
  /** Answers to each RCPT. */
  recipients: string[];
  /** "accept", "discard", "tempfail" or the reply text, with %% as it came. */
  final: string;
  /**
   * Such as "insertHeader 0 Name= value", "changeHeader 1 Subject= [...]", "deleteRecipient <a@b>",
   * "changeFrom <>".
   */
  changes: string[];
}

const offeredActions = 0x1ff;
const offeredSteps = 0x1fffff;
const chunkBytes = 65_535;

export class MilterClient {
  readonly #socket: Socket;
  #received = Buffer.alloc(0);
  #arrived: () => void = () => {};
  #closed = false;
  steps = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#arrived();
    });
    socket.on("close", () => {
      this.#closed = true;
      this.#arrived();
    });
    socket.on("error", () => {});
  }

  static async connect(path: string): Promise<MilterClient> {
    const socket = createConnection(path);
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    return new MilterClient(socket);
  }

  raw(bytes: Buffer | string): void {
    this.#socket.write(bytes);
  }

  /** False where the socket is full. */
  send(command: string, data: Buffer | string = ""): boolean {
    const bytes = Buffer.isBuffer(data) ? data : Buffer.from(data, "latin1");
    const head = Buffer.alloc(5);
    head.writeUInt32BE(bytes.length + 1);
    head.write(command, 4, "latin1");
    return this.#socket.write(Buffer.concat([head, bytes]));
  }

  /** Rejects when the server has closed the connection. */
  async answer(): Promise<MilterAnswer> {
    for (;;) {
      const length = this.#received.length >= 4 ? this.#received.readUInt32BE(0) : Number.POSITIVE_INFINITY;
      if (this.#received.length >= 4 + length) {
        const packet = this.#received.subarray(4, 4 + length);
        this.#received = this.#received.subarray(4 + length);
        return { command: packet.toString("latin1", 0, 1), data: packet.subarray(1) };
      }
      if (this.#closed) throw new Error("the milter closed the connection");
      await new Promise<void>((resolve) => {
        this.#arrived = resolve;
      });
    }
  }

  async closed(): Promise<void> {
    while (!this.#closed) {
      await new Promise<void>((resolve) => {
        this.#arrived = resolve;
      });
    }
  }

  /** As an MTA that offers these steps, of which Postfix has all. */
  async negotiate(offered: number = offeredSteps): Promise<void> {
    this.send("O", words(6, offeredActions, offered));
    const { command, data } = await this.answer();
    if (command !== "O") throw new Error(`options answered with ${command}`);
    this.steps = data.readUInt32BE(8);
  }

  /** The MTA's client has this IP address. */
  async from(address: string): Promise<void> {
    const isV6 = address.includes(":");
    this.send("C", `client.example\0${isV6 ? 6 : 4}\x04\x00${isV6 ? "IPv6:" : ""}${address}\0`);
    await this.#expectContinue("connect", 0x1000);
  }

  async deliver(message: MilterMessage): Promise<MilterVerdict> {
    this.send("D", "M{auth_authen}\0someone\0i\x001234\0");
    this.send("M", `<${message.sender}>\0SIZE=${message.size ?? 1}\0`);
    await this.#expectContinue("MAIL", 0x4000);
    const recipients: string[] = [];
    for (const recipient of message.recipients) {
      this.send("R", [`<${recipient}>`, ...(message.parameters ?? []), ""].join("\0"));
      recipients.push(said(await this.answer()));
    }
    for (const [name, value] of message.headers) {
      await this.#sendInTurn("L", `${name}\0${value}\0`);
      await this.#expectContinue("header", 0x80);
    }
    this.send("N");
    await this.#expectContinue("end of headers", 0x40000);
    await this.#body(Buffer.isBuffer(message.body) ? message.body : Buffer.from(message.body, "latin1"));
    this.send("E");
    const changes: string[] = [];
    for (;;) {
      const answer = await this.answer();
      const change = changeOf(answer);
      if (change === undefined) return { recipients, final: said(answer), changes };
      changes.push(change);
    }
  }

  close(): void {
    this.send("Q");
    this.#socket.end();
  }

  async #body(body: Buffer): Promise<void> {
    for (let at = 0; at < body.length; at += chunkBytes) {
      await this.#sendInTurn("B", body.subarray(at, at + chunkBytes));
      await this.#expectContinue("body", 0x80000);
    }
  }

  /** Waits while the socket is full: millions of packets in its queue end it. */
  async #sendInTurn(command: string, data: Buffer | string): Promise<void> {
    const hasRoom = this.send(command, data);
    if (!hasRoom && !this.#closed) await Promise.race([once(this.#socket, "drain"), this.closed()]);
  }

  /** Nothing is answered where the milter asked for it by this bit. */
  async #expectContinue(what: string, withoutReply: number): Promise<void> {
    if ((this.steps & withoutReply) !== 0) return;
    const answer = await this.answer();
    if (answer.command !== "c") throw new Error(`${what} answered with ${said(answer)}`);
  }
}

function words(...values: number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value, 4 * index);
  return bytes;
}

const names: Record<string, string> = { c: "continue", a: "accept", d: "discard", t: "tempfail", r: "reject" };

function said({ command, data }: MilterAnswer): string {
  return command === "y" ? data.toString("latin1").replace(/\0$/, "") : (names[command] ?? command);
}

function changeOf({ command, data }: MilterAnswer): string | undefined {
  const text = (start: number) => data.toString("latin1", start).replace(/\0$/, "");
  switch (command) {
    case "i":
      return `insertHeader ${data.readUInt32BE(0)} ${text(4).replace("\0", "=")}`;
    case "m":
      return `changeHeader ${data.readUInt32BE(0)} ${text(4).replace("\0", "=")}`;
    case "-":
      return `deleteRecipient ${text(0)}`;
    case "e":
      return `changeFrom ${text(0)}`;
    default:
      return undefined;
  }
}
