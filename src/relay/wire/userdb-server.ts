/**
 * Answers Dovecot's LMTP directly: whose mailbox is where. Through Dovecot's auth process, its
 * worker and a script, one answer passed four processes.
 */
import { LineReader } from "../../lib/lines.ts";
import { type FailureHandlers, ProtocolError } from "./conversation.ts";
import { openSocketServer, type SocketServer } from "./socket-server.ts";
import { greeting, parseUserQuestion, userFound, userNotFound } from "./userdb.ts";

export interface UserdbOptions extends FailureHandlers {
  path: string;
  /** Undefined where there is no such user. */
  find(address: string): { address: string; fields: Readonly<Record<string, string | number>> } | undefined;
}

const maxLineBytes = 8192;

export function openUserdb(options: UserdbOptions): Promise<SocketServer> {
  return openSocketServer({ ...options, at: options.path }, () => {
    const reader = new LineReader(maxLineBytes);
    return {
      greeting: greeting(process.pid),
      questions: (chunk) => reader.push(chunk),
      answer: (line) => {
        const question = parseUserQuestion(line.toString("utf8"));
        if (question.kind === "wrong") throw new ProtocolError(question.why);
        if (question.kind === "ignored") return undefined;
        const user = options.find(question.address);
        return user ? userFound(question.id, user.address, user.fields) : userNotFound(question.id);
      },
    };
  });
}
