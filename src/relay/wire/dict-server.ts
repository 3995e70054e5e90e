/**
 * Dict server: keeps the transactions of each connection and asks a DictAnswers what keys mean.
 * What a transaction sets takes effect at its commit.
 */

import { LineReader } from "../../lib/lines.ts";
import { type FailureHandlers, LastAnswer } from "./conversation.ts";
import {
  commitFailed,
  committed,
  type DictCommand,
  endOfIteration,
  found,
  lookupFailed,
  notFound,
  parseDictLine,
} from "./dict.ts";
import { openSocketServer, type SocketServer } from "./socket-server.ts";

/** What the keys of one dict mean. Methods throw when something failed on our side. */
export interface DictAnswers {
  lookup: (key: string, user: string) => Promise<string | undefined>;
  /** A text is why the key may not be set so. */
  set(key: string, value: string, user: string): Promise<string | undefined>;
  unset(key: string, user: string): Promise<string | undefined>;
}

export interface DictOptions extends FailureHandlers {
  path: string;
  answers: DictAnswers;
}

const maxLineBytes = 65_536;
const maxTransactions = 100;
const maxChanges = 1000;
/** Of all transactions of a connection. A push token has 4 KiB at most. */
const maxHeldBytes = 1 << 20;
const failed = "temporary failure";

interface Transaction {
  user: string;
  changes: Change[];
  bytes: number;
}

type Change = Extract<DictCommand, { kind: "set" | "unset" }>;

export function openDict(options: DictOptions): Promise<SocketServer> {
  return openSocketServer({ ...options, at: options.path }, () => {
    const reader = new LineReader(maxLineBytes);
    const session = new DictSession(options);
    return {
      questions: (chunk) => reader.push(chunk),
      // an empty line ends the connection
      answer: (line) => (line.length === 0 ? new LastAnswer() : session.answer(parseDictLine(line.toString("utf8")))),
    };
  });
}

class DictSession {
  readonly #options: DictOptions;
  readonly #transactions = new Map<string, Transaction>();
  #heldBytes = 0;

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
        this.#forget(command.id);
        if (this.#transactions.size < maxTransactions) {
          this.#transactions.set(command.id, { user: command.user, changes: [], bytes: 0 });
          this.#hold(command.id, command.id.length + command.user.length);
        }
        return undefined;
      case "set":
      case "unset": {
        const changes = this.#transactions.get(command.id)?.changes;
        if (changes && changes.length < maxChanges) {
          changes.push(command);
          this.#hold(command.id, command.key.length + ("value" in command ? command.value.length : 0));
        } else this.#forget(command.id);
        return undefined;
      }
      case "commit":
        return this.#commit(command.id);
      case "rollback":
        this.#forget(command.id);
        return undefined;
      default:
        return undefined;
    }
  }

  /** A transaction that would be too much is forgotten; its commit fails. */
  #hold(id: string, bytes: number): void {
    const transaction = this.#transactions.get(id);
    if (!transaction) return;
    transaction.bytes += bytes;
    this.#heldBytes += bytes;
    if (this.#heldBytes > maxHeldBytes) this.#forget(id);
  }

  #forget(id: string): void {
    this.#heldBytes -= this.#transactions.get(id)?.bytes ?? 0;
    this.#transactions.delete(id);
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
    this.#forget(id);
    if (!transaction) return commitFailed(id, "no such transaction");
    try {
      // begun in their order and all at once, so that those of one file can be written together
      const answers = await Promise.all(transaction.changes.map((change) => this.#apply(change, transaction.user)));
      const refusal = answers.findLast((answer) => answer !== undefined);
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
