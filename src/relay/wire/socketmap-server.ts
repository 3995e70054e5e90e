/** Answers Postfix's table look-ups. A connection is one process of Postfix and is kept; its questions are answered in their order. */
import { InTurn } from "./in-turn.ts";
import { type Answer, NetstringReader, parseQuestion, type Question, renderAnswer } from "./socketmap.ts";
import { type Door, openDoor } from "./unix-socket.ts";

export interface SocketmapOptions {
  path: string;
  answer(question: Question): Answer | Promise<Answer>;
  /** The answer failed on our side; Postfix is told to try again. */
  onFailure: (thrown: unknown) => void;
  onProtocolError(why: string): void;
}

export function openSocketmap(options: SocketmapOptions): Promise<Door> {
  return openDoor(options.path, (socket) => {
    const reader = new NetstringReader();
    const answers = new InTurn(socket);
    const end = (thrown: unknown) => {
      options.onProtocolError(thrown instanceof Error ? thrown.message : "not understood");
      socket.destroy();
    };
    const answer = async (question: Question): Promise<void> => {
      try {
        const value = await options.answer(question);
        if (!socket.destroyed) socket.write(renderAnswer(value));
      } catch (thrown) {
        options.onFailure(thrown);
        if (!socket.destroyed) socket.write(renderAnswer({ kind: "temporary", why: "the relay daemon has a problem" }));
      }
    };
    socket.on("data", (chunk) => {
      try {
        for (const question of reader.push(chunk).map(parseQuestion)) answers.add(() => answer(question));
      } catch (thrown) {
        end(thrown);
      }
    });
    return { owing: () => answers.owed > 0 };
  });
}
