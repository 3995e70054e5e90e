/**
 * Answers Postfix's table look-ups. A connection is one process of Postfix and is kept; its
 * questions are answered in their order.
 */
import type { FailureHandlers } from "./conversation.ts";
import { openSocketServer, type SocketServer } from "./socket-server.ts";
import { type Answer, NetstringReader, parseQuestion, type Question, renderAnswer } from "./socketmap.ts";

/** Where an answer fails on our side, Postfix is told to try again. */
export interface SocketmapOptions extends FailureHandlers {
  path: string;
  answer(question: Question): Answer | Promise<Answer>;
}

export function openSocketmap(options: SocketmapOptions): Promise<SocketServer> {
  const answer = async (question: Question): Promise<Answer> => {
    try {
      return await options.answer(question);
    } catch (thrown) {
      options.onFailure(thrown);
      return { kind: "temporary", why: "the relay daemon has a problem" };
    }
  };
  return openSocketServer({ ...options, at: options.path }, () => {
    const reader = new NetstringReader();
    return {
      questions: (chunk) => reader.push(chunk).map(parseQuestion),
      answer: async (question) => renderAnswer(await answer(question)),
    };
  });
}
