/** The sender of a probe over SMTP. */
import { ports } from "../../mail/ports.ts";
import type { ProbeAccount } from "./accounts.ts";
import { Connection, type Target } from "./connection.ts";

export const submissionService = { service: `submission, port ${ports.submissions}`, port: ports.submissions } as const;

export interface Mail {
  from: string;
  to: string;
  /** Lines with CRLF; none begins with a dot. */
  data: string;
}

export class Submission {
  readonly #connection: Connection;

  private constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Logged in. */
  static async open(target: Target, account: ProbeAccount, signal: AbortSignal): Promise<Submission> {
    const connection = await Connection.open(target, signal);
    const submission = new Submission(connection);
    await connection.step("login", async () => {
      await submission.#reply("2"); // the greeting
      await submission.#say(`EHLO [${target.host}]`, "2");
      const credentials = Buffer.from(`\0${account.address}\0${account.password}`).toString("base64");
      await submission.#say(`AUTH PLAIN ${credentials}`, "2");
    });
    return submission;
  }

  /** Resolves when Postfix has accepted it. */
  async send({ from, to, data }: Mail): Promise<void> {
    await this.#connection.step("submit", async () => {
      await this.#say(`MAIL FROM:<${from}>`, "2");
      await this.#say(`RCPT TO:<${to}>`, "2");
      await this.#say("DATA", "3");
      await this.#say(`${data}.`, "2");
    });
  }

  /** Says goodbye, and waits for no answer to it. */
  close(): void {
    this.#connection.write("QUIT\r\n");
    this.#connection.end();
  }

  destroy(): void {
    this.#connection.destroy();
  }

  #say(line: string, expected: string): Promise<void> {
    this.#connection.write(`${line}\r\n`);
    return this.#reply(expected);
  }

  /** Throws with the words of a reply that is of another class. */
  async #reply(expected: string): Promise<void> {
    for (;;) {
      const line = await this.#connection.line();
      if (line[3] === "-") continue;
      if (line.startsWith(expected)) return;
      throw new Error(line);
    }
  }
}
