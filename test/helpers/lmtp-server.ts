/** An LMTP server on a unix socket that answers what a test says, and keeps what it was told. */
import { createServer, type Server, type Socket } from "node:net";

/**
 * Its answer to a line, or to the end of the content ("END 0", for each recipient); undefined:
 * none.
 */
export type Says = (line: string) => string | undefined;

export const friendly: Says = (line) => (line.startsWith("DATA") ? "354 go on" : "250 fine");
/** An answer that is none: the server closes the connection. */
export const hangUp = "(close)";

export class LmtpServer {
  readonly said: string[] = [];
  /** As they came, without the line of a dot. */
  readonly contents: string[] = [];
  readonly connections: Socket[] = [];
  readonly #server: Server;

  private constructor(says: Says) {
    this.#server = createServer((socket) => this.#converse(socket, says));
  }

  static async listen(path: string, says: Says = friendly): Promise<LmtpServer> {
    const lmtp = new LmtpServer(says);
    await new Promise<void>((done) => lmtp.#server.listen(path, done));
    return lmtp;
  }

  async close(): Promise<void> {
    for (const each of this.connections) each.destroy();
    await new Promise((done) => this.#server.close(done));
  }

  #converse(socket: Socket, says: Says): void {
    this.connections.push(socket);
    let text = "";
    let content = false;
    let recipients = 0;
    const answer = (words: string | undefined) => {
      if (words === hangUp) socket.destroy();
      else if (words !== undefined) socket.write(`${words}\r\n`);
    };
    const take = (line: string) => {
      if (content) {
        this.contents.push(line);
        for (let at = 0; at < recipients; at++) answer(says(`END ${at}`));
        content = false;
        recipients = 0;
        return;
      }
      this.said.push(line);
      const words = says(line);
      if (line.startsWith("RCPT") && words?.startsWith("250")) recipients++;
      content = words?.startsWith("354") ?? false;
      answer(words);
    };
    socket.on("error", () => undefined);
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      for (;;) {
        const mark = content ? "\r\n.\r\n" : "\r\n";
        const end = text.indexOf(mark);
        if (end < 0) return;
        const line = text.slice(0, end);
        text = text.slice(end + mark.length);
        take(line);
      }
    });
    socket.write("220 hello\r\n");
  }
}
