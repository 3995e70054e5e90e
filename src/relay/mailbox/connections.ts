/**
 * Connections to Dovecot's LMTP: some at once, and each is used again for a while. Dovecot has a
 * process for each.
 */
import { within } from "../../lib/within.ts";
import { LmtpConnection, LmtpLost, type LmtpMessage, type LmtpPatience } from "../wire/lmtp-client.ts";

export interface ConnectionsOptions {
  path: string;
  most: number;
  /** How long a message waits for a connection. */
  waitMs: number;
  /**
   * From its beginning; then it ends, since Dovecot's process keeps the settings that it started
   * with.
   */
  lifeMs: number;
  patience: Patience;
}

export interface Patience extends LmtpPatience {
  /** After Dovecot did not answer in time none is tried for so long: each would wait as long. */
  pauseMs: number;
}

export class Connections {
  readonly #options: ConnectionsOptions;
  readonly #idle = new Set<LmtpConnection>();
  readonly #waiting = new Set<() => void>();
  #running = 0;
  #closed = false;
  /** By `performance.now()`. */
  #pausedUntil = 0;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
  }

  /**
   * The recipients whose copy is on the disk. Those of others may be, too, where Dovecot is slow.
   */
  async deliver(message: LmtpMessage): Promise<string[]> {
    if (this.#refuses || !(await this.#place())) return [];
    try {
      // it may have waited for a place while another one found Dovecot silent
      return this.#refuses ? [] : await this.#deliver(message);
    } finally {
      this.#running--;
      const [next] = this.#waiting;
      if (next) next();
    }
  }

  close(): void {
    this.#closed = true;
    for (const connection of this.#idle) connection.close();
  }

  async #deliver(message: LmtpMessage): Promise<string[]> {
    for (;;) {
      const connection = this.#kept() ?? (await this.#open());
      if (!connection) return [];
      const { used } = connection;
      try {
        const taken = await connection.deliver(message);
        if (this.#closed || connection.ageMs >= this.#options.lifeMs) connection.close();
        else if (connection.isOpen) this.#idle.add(connection);
        return taken;
      } catch (thrown) {
        if (!(thrown instanceof LmtpLost)) throw thrown;
        this.#note(thrown);
        // Dovecot has ended one that was kept: nothing of the message was sent
        if (thrown.sent || thrown.silent || !used) return [];
      }
    }
  }

  #kept(): LmtpConnection | undefined {
    const [connection] = this.#idle;
    if (connection) this.#idle.delete(connection);
    return connection;
  }

  async #open(): Promise<LmtpConnection | undefined> {
    const { path, patience, lifeMs } = this.#options;
    let end: NodeJS.Timeout | undefined;
    const ended = (connection: LmtpConnection) => {
      clearTimeout(end);
      this.#idle.delete(connection);
    };
    try {
      const connection = await LmtpConnection.open(path, patience, ended);
      // one that is at work ends after it
      end = setTimeout(() => this.#idle.has(connection) && connection.close(), lifeMs);
      return connection;
    } catch (thrown) {
      if (!(thrown instanceof LmtpLost)) throw thrown;
      this.#note(thrown);
      return undefined;
    }
  }

  get #refuses(): boolean {
    return this.#closed || performance.now() < this.#pausedUntil;
  }

  #note({ silent }: LmtpLost): void {
    if (silent) this.#pausedUntil = performance.now() + this.#options.patience.pauseMs;
  }

  /** False where none was free in time. */
  async #place(): Promise<boolean> {
    const { most, waitMs } = this.#options;
    if (this.#running < most) {
      this.#running++;
      return true;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    let got = false;
    const go = () => {
      this.#waiting.delete(go);
      this.#running++;
      got = true;
      resolve();
    };
    this.#waiting.add(go);
    await within(promise, waitMs, undefined);
    this.#waiting.delete(go);
    return got;
  }
}
