/** Dict server: keeps the transactions of each connection and asks a DictAnswers what keys mean. What a transaction sets takes effect at its commit. */
import { LineReader } from "../lines.ts";
import { type Door, openDoor } from "../unix-socket.ts";
import {
  commitFailed,
  committed,
  type DictCommand,
  endOfIteration,
  found,
  lookupFailed,
  notFound,
  parseDictLine,
} from "./protocol.ts";

/** What the keys of one dict mean. Methods throw when something failed on our side. */
export interface DictAnswers {
  lookup(key: string, user: string): Promise<string | undefined>;
  /** A text is why the key may not be set so. */
  set(key: string, value: string, user: string): Promise<string | undefined>;
  unset(key: string, user: string): Promise<string | undefined>;
}

export interface DictOptions {
  path: string;
  answers: DictAnswers;
  onFailure(thrown: unknown): void;
  onProtocolError(why: string): void;
}

const maxLineBytes = 65_536;
const maxTransactions = 100;
const maxChanges = 1000;
const failed = "temporary failure";

type Change = Extract<DictCommand, { kind: "set" | "unset" }>;

export function openDict(options: DictOptions): Promise<Door> {
  return openDoor(options.path, (socket) => {
    const reader = new LineReader(maxLineBytes);
    const session = new DictSession(options);
    let owed = 0;
    let last: Promise<void> = Promise.resolve();
    socket.on("data", (chunk) => {
      let lines: Buffer[];
      try {
        lines = reader.push(chunk);
      } catch {
        options.onProtocolError("line too long");
        socket.destroy();
        return;
      }
      for (const line of lines) {
        owed++;
        last = last
          .then(async () => {
            if (socket.destroyed) return;
            const answer = line.length === 0 ? undefined : await session.answer(parseDictLine(line.toString("utf8")));
            if (line.length === 0) socket.end();
            else if (answer !== undefined && !socket.destroyed) socket.write(answer);
          })
          .finally(() => owed--);
      }
    });
    return { owing: () => owed > 0 };
  });
}

class DictSession {
  readonly #options: DictOptions;
  readonly #transactions = new Map<string, { user: string; changes: Change[] }>();

  constructor(options: DictOptions) {
    this.#options = options;
  }

  /** The line to send, or undefined where none is due. */
  async answer(command: DictCommand): Promise<string | undefined> {
    switch (command.kind) {
      case "lookup":
        return this.#lookup(command.key, command.user);
      case "iterate":
        return endOfIteration;
      case "begin":
        if (this.#transactions.size < maxTransactions) {
          this.#transactions.set(command.id, { user: command.user, changes: [] });
        }
        return undefined;
      case "set":
      case "unset": {
        const changes = this.#transactions.get(command.id)?.changes;
        if (changes && changes.length < maxChanges) changes.push(command);
        else this.#transactions.delete(command.id);
        return undefined;
      }
      case "commit":
        return this.#commit(command.id);
      case "rollback":
        this.#transactions.delete(command.id);
        return undefined;
      default:
        return undefined;
    }
  }

  async #lookup(key: string, user: string): Promise<string> {
    try {
      const value = await this.#options.answers.lookup(key, user);
      return value === undefined ? notFound : found(value);
    } catch (thrown) {
      this.#options.onFailure(thrown);
      return lookupFailed(failed);
    }
  }

  async #commit(id: string): Promise<string> {
    const transaction = this.#transactions.get(id);
    this.#transactions.delete(id);
    if (!transaction) return commitFailed(id, "no such transaction");
    try {
      let refusal: string | undefined;
      for (const change of transaction.changes) refusal = (await this.#apply(change, transaction.user)) ?? refusal;
      return refusal === undefined ? committed : commitFailed(id, refusal);
    } catch (thrown) {
      this.#options.onFailure(thrown);
      return commitFailed(id, failed);
    }
  }

  #apply(change: Change, user: string): Promise<string | undefined> {
    const { answers } = this.#options;
    return change.kind === "set" ? answers.set(change.key, change.value, user) : answers.unset(change.key, user);
  }
}
