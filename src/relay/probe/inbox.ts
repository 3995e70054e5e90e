/** The recipient of a probe over IMAP: waits for the message by IDLE, reads it and removes it. */
import { ports } from "../../mail/ports.ts";
import type { ProbeAccount } from "./accounts.ts";
import { Connection, type Target } from "./connection.ts";

export const inboxService = { service: `IMAP, port ${ports.imaps}`, port: ports.imaps } as const;

const someExist = /^\* [1-9][0-9]* EXISTS$/;

export class Inbox {
  readonly #connection: Connection;
  #tags = 0;
  /** Tag of the IDLE that runs. */
  #idle = "";

  private constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Logged in, in IDLE, and empty: what an earlier message has left is removed. */
  static async open(target: Target, account: ProbeAccount, signal: AbortSignal): Promise<Inbox> {
    const connection = await Connection.open(target, signal);
    const inbox = new Inbox(connection);
    await connection.step("login", async () => {
      await connection.line(); // the greeting
      await inbox.#say(`LOGIN "${account.address}" "${account.password}"`);
    });
    await connection.step("fetch", async () => {
      const lines = await inbox.#say("SELECT INBOX");
      if (lines.some((line) => someExist.test(line))) await inbox.#removeAll();
      await inbox.#startIdle();
    });
    return inbox;
  }

  /** Resolves when the message is read. `isDelivered`: Dovecot has reported its delivery. */
  async receive(messageId: string, { isDelivered, ms }: { isDelivered: () => boolean; ms: number }): Promise<void> {
    const late = `the message was accepted, and is not in the mailbox ${ms / 1000} s later`;
    const step = () => (isDelivered() ? "fetch" : "deliver");
    await this.#connection.step(step, () => this.#lineLike(someExist), { ms, late });
    await this.#connection.step("fetch", async () => {
      this.#connection.write("DONE\r\n");
      await this.#answerTo(this.#idle);
      const lines = await this.#say("FETCH 1:* (BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])");
      if (!lines.some((line) => line.includes(messageId))) throw new Error("another message was delivered");
      await this.#removeAll();
    });
  }

  /** Logs out: no session is left that would keep a process or hibernate. */
  async close(): Promise<void> {
    await this.#connection.step("fetch", () => this.#say("LOGOUT"));
    this.#connection.destroy();
  }

  destroy(): void {
    this.#connection.destroy();
  }

  async #removeAll(): Promise<void> {
    await this.#say("STORE 1:* +FLAGS.SILENT (\\Deleted)");
    await this.#say("EXPUNGE");
  }

  async #startIdle(): Promise<void> {
    this.#idle = this.#send("IDLE");
    await this.#lineLike(/^\+/);
  }

  #send(command: string): string {
    const tag = `p${++this.#tags}`;
    this.#connection.write(`${tag} ${command}\r\n`);
    return tag;
  }

  /** The lines before an answer that is OK; throws with the words of another. */
  #say(command: string): Promise<string[]> {
    return this.#answerTo(this.#send(command));
  }

  async #answerTo(tag: string): Promise<string[]> {
    const lines: string[] = [];
    for (;;) {
      const line = await this.#connection.line();
      if (line.startsWith(`${tag} OK`)) return lines;
      if (line.startsWith(`${tag} `)) throw new Error(line.slice(tag.length + 1));
      lines.push(line);
    }
  }

  /** Others may come before it; the end of IDLE is none of them. */
  async #lineLike(pattern: RegExp): Promise<void> {
    for (;;) {
      const line = await this.#connection.line();
      if (pattern.test(line)) return;
      if (line.startsWith(`${this.#idle} `)) throw new Error(line.slice(this.#idle.length + 1));
    }
  }
}
