/** Answers of one connection, in the order of its questions. While many are owed, or the peer does not read them, nothing more is read from it. */
import type { Socket } from "node:net";

/** Questions that wait; those of one read come on top. */
const most = 100;

export class InTurn {
  readonly #socket: Socket;
  #owed = 0;
  #last: Promise<void> = Promise.resolve();

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  get owed(): number {
    return this.#owed;
  }

  /** `answer` does not reject. */
  add(answer: () => Promise<void>): void {
    this.#owed++;
    if (this.#owed >= most) this.#socket.pause();
    this.#last = this.#last
      .then(answer)
      .then(() => drained(this.#socket))
      .finally(() => {
        this.#owed--;
        if (this.#owed === 0) this.#socket.resume();
      });
  }
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
