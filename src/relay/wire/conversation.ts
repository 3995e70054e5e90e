/**
 * One loop for all servers on sockets. What a peer sends is cut into questions; they are answered
 * in their order, each before the next is looked at. While an answer is on its way, or the peer
 * does not read what it was sent, nothing more is read from it.
 */
import type { Socket } from "node:net";
import { LineTooLong } from "../../lib/lines.ts";

/** The peer does not keep to the protocol; its connection ends. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
}

/** Sent, and the connection ends behind it. */
export class LastAnswer {
  readonly text: string;

  constructor(text = "") {
    this.text = text;
  }
}

/** Undefined where no answer is due. */
export type Answer = string | Buffer | LastAnswer | undefined;

/** What a protocol makes of one connection. */
export interface Dialogue<Question> {
  /** Said before the peer has asked anything. */
  greeting?: string;
  /**
   * Cuts bytes into questions; may do so lazily, as the next one is wanted after an answer. Throws
   * ProtocolError.
   */
  questions(chunk: Buffer): Iterable<Question>;
  /**
   * Throws where the connection has to end: ProtocolError is the peer's doing, anything else ours.
   */
  answer(question: Question): Answer | Promise<Answer>;
  /** Whether the peer waits for more than the answer that is on its way. */
  owing?(): boolean;
  /** The connection is over. */
  ended?(): void;
}

export interface FailureHandlers {
  /** Something failed on our side. */
  onFailure: (thrown: unknown) => void;
  onProtocolError: (why: string) => void;
}

/** A connection as its server sees it. `owing` is true while the peer waits for an answer. */
export interface Conversation {
  owing(): boolean;
}

export function converse<Question>(
  socket: Socket,
  dialogue: Dialogue<Question>,
  handlers: FailureHandlers,
): Conversation {
  let answering = false;
  /** False when the connection ends here. */
  const answerAll = async (chunk: Buffer): Promise<boolean> => {
    for (const question of dialogue.questions(chunk)) {
      const words = await dialogue.answer(question);
      if (socket.destroyed) return false;
      if (words instanceof LastAnswer) {
        if (words.text !== "") socket.write(words.text);
        socket.destroySoon();
        return false;
      }
      if (words !== undefined && socket.writable) socket.write(words);
      if (socket.writableNeedDrain) await drained(socket);
    }
    return true;
  };
  const fail = (thrown: unknown): false => {
    socket.destroy();
    if (thrown instanceof ProtocolError || thrown instanceof LineTooLong) handlers.onProtocolError(thrown.message);
    else handlers.onFailure(thrown);
    return false;
  };
  const run = async () => {
    if (dialogue.greeting !== undefined) socket.write(dialogue.greeting);
    try {
      // not destroyed when the peer has ended its side: it may be reading its last answer
      for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
        answering = true;
        const goesOn = await answerAll(chunk as Buffer).catch(fail);
        answering = false;
        if (!goesOn) return;
      }
    } catch {
      // the connection broke
    } finally {
      dialogue.ended?.();
    }
  };
  void run();
  return { owing: () => answering || dialogue.owing?.() === true };
}

/** Resolves once what was written has been taken, or the connection is gone. */
export async function drained(socket: Socket): Promise<void> {
  if (socket.destroyed || !socket.writableNeedDrain) return;
  await new Promise<void>((resolve) => {
    const go = () => {
      socket.off("drain", go);
      socket.off("close", go);
      resolve();
    };
    socket.on("drain", go);
    socket.on("close", go);
  });
}
