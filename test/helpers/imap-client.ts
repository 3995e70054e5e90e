/** A small IMAP client that shows every answer. */
import { type Address, LineSocket, type Tls } from "./line-socket.ts";

export interface Answer {
  status: "OK" | "NO" | "BAD";
  text: string;
  /** Untagged answers, literals put in as they came. */
  untagged: string[];
}

const tlsAt: Record<number, Tls> = { 993: {}, 443: { alpn: ["imap"] } };

export class ImapClient {
  readonly #socket: LineSocket;
  #tag = 0;
  readonly greeting: string;

  private constructor(socket: LineSocket, greeting: string) {
    this.#socket = socket;
    this.greeting = greeting;
  }

  get sha256(): string {
    return this.#socket.shown.sha256;
  }

  /** Port 993 starts in TLS, 443 too and asks for imap; 143 in the clear. */
  static async open(address: Address): Promise<ImapClient> {
    const socket = await LineSocket.open(address, tlsAt[address.port]);
    return socket.begin(async () => new ImapClient(socket, await socket.line()));
  }

  static async ready(address: Address, user: string, password: string): Promise<ImapClient> {
    const client = await ImapClient.open(address);
    return client.#socket.begin(async () => {
      const { status, text } = await client.login(user, password);
      if (status !== "OK") throw new Error(`login: ${status} ${text}`);
      return client;
    });
  }

  /**
   * Logged in and ready for IDLE, with the commands of Delta Chat core 2.60 in its order;
   * compressed where that is offered. `token`: of the device, for push.
   */
  static async likeDeltaChat(address: Address, user: string, password: string, token?: string): Promise<ImapClient> {
    const client = await ImapClient.open(address);
    return client.#socket.begin(async () => {
      const { status, text, untagged } = await client.login(user, password);
      if (status !== "OK") throw new Error(`login: ${status} ${text}`);
      if (/\bCOMPRESS=DEFLATE\b/.test([text, ...untagged].join())) {
        const answer = await client.compress();
        if (answer.status !== "OK") throw new Error(`COMPRESS: ${answer.status} ${answer.text}`);
      }
      await client.say('ID ("name" "Delta Chat")');
      const entries = ["irohrelay", "turn", "maxsmtprecipients", "appversions"];
      const names = entries.map((entry) => `/shared/vendor/deltachat/${entry}`).join(" ");
      await client.say(`GETMETADATA "" (/shared/comment /shared/admin ${names})`);
      if (token !== undefined) await client.say(`SETMETADATA "INBOX" (/private/devicetoken "${token}")`);
      await client.say('GETQUOTAROOT "INBOX"');
      await client.say('SELECT "INBOX"');
      await client.say("UID FETCH 1:* (UID FLAGS)");
      return client;
    });
  }

  /** COMPRESS DEFLATE (RFC 4978); where the server agrees, all that follows is compressed. */
  async compress(): Promise<Answer> {
    const answer = await this.say("COMPRESS DEFLATE");
    if (answer.status === "OK") this.#socket.compress();
    return answer;
  }

  login(user: string, password: string): Promise<Answer> {
    return this.say(`LOGIN "${user}" "${password.replaceAll(/["\\]/g, "\\$&")}"`);
  }

  async startTls(tls: Tls = {}): Promise<void> {
    const { status, text } = await this.say("STARTTLS");
    if (status !== "OK") throw new Error(`STARTTLS: ${status} ${text}`);
    await this.#socket.startTls(tls);
  }

  /** Says a command and reads up to its tagged answer. */
  async say(command: string): Promise<Answer> {
    const tag = `a${++this.#tag}`;
    this.#socket.write(`${tag} ${command}\r\n`);
    return this.#answerTo(tag);
  }

  /** Goes into IDLE and returns when the server has said so. */
  async idle(): Promise<{ next(): Promise<string>; done(): Promise<Answer> }> {
    const tag = `a${++this.#tag}`;
    this.#socket.write(`${tag} IDLE\r\n`);
    for (;;) {
      const line = await this.#line();
      if (line.startsWith("+")) break;
    }
    return {
      next: () => this.#line(),
      done: () => {
        this.#socket.write("DONE\r\n");
        return this.#answerTo(tag);
      },
    };
  }

  /** Each message of the selected folder, whole. */
  async messages(): Promise<string[]> {
    const answer = await this.say("FETCH 1:* (BODY.PEEK[])");
    return answer.untagged.filter((line) => line.includes("FETCH (BODY[]"));
  }

  async logout(): Promise<void> {
    await this.say("LOGOUT").catch(() => undefined);
    this.#socket.destroy();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  closed(): Promise<void> {
    return this.#socket.closed();
  }

  async #answerTo(tag: string): Promise<Answer> {
    const untagged: string[] = [];
    for (;;) {
      const line = await this.#line();
      if (line.startsWith(`${tag} `)) {
        const [, status = "", text = ""] = /^\S+ (\S+) ?(.*)$/s.exec(line) ?? [];
        return { status: status as Answer["status"], text, untagged };
      }
      untagged.push(line);
    }
  }

  /** One line, with the literals that it announces. */
  async #line(): Promise<string> {
    let text = await this.#socket.line();
    for (;;) {
      const literal = /\{(\d+)\}$/.exec(text);
      if (!literal) return text;
      const bytes = await this.#socket.bytes(Number(literal[1]));
      text += `\r\n${bytes.toString("latin1")}${await this.#socket.line()}`;
    }
  }
}
