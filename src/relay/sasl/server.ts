/** Postfix's password questions. When the answer can't be found the connection is closed: Postfix then says 454, "try again", and not "wrong password". */
import { randomBytes } from "node:crypto";
import type { Login } from "../accounts/accounts.ts";
import { InTurn } from "../in-turn.ts";
import { LineReader } from "../lines.ts";
import { type Door, openDoor } from "../unix-socket.ts";
import { fail, greeting, ok, parseClientLine, parsePlain } from "./protocol.ts";

export interface SaslOptions {
  path: string;
  login(user: string, password: string, client: string | undefined): Promise<Login>;
  onFailure(thrown: unknown): void;
  onProtocolError(why: string): void;
}

const maxLineBytes = 8192;

export function openSasl(options: SaslOptions): Promise<Door> {
  let connections = 0;
  return openDoor(options.path, (socket) => {
    const reader = new LineReader(maxLineBytes);
    const answers = new InTurn(socket);
    const end = (why: string) => {
      options.onProtocolError(why);
      socket.destroy();
    };
    const answer = async (line: string): Promise<void> => {
      if (socket.destroyed) return;
      const asked = parseClientLine(line);
      if (asked.kind === "wrong") return end(asked.why);
      if (asked.kind === "ignored") return;
      const plain = asked.mechanism === "PLAIN" && asked.response !== undefined && parsePlain(asked.response);
      if (!plain) {
        socket.write(fail(asked.id));
        return;
      }
      const login = await options.login(plain.user, plain.password, asked.client);
      if (socket.destroyed) return;
      socket.write(
        login.kind === "ok" ? ok(asked.id, login.account.address) : fail(asked.id, plain.user.toLowerCase()),
      );
    };
    socket.on("data", (chunk) => {
      let lines: Buffer[];
      try {
        lines = reader.push(chunk);
      } catch {
        return end("line too long");
      }
      for (const line of lines) {
        answers.add(() =>
          answer(line.toString("utf8")).catch((thrown: unknown) => {
            options.onFailure(thrown);
            socket.destroy();
          }),
        );
      }
    });
    connections++;
    socket.write(greeting({ pid: process.pid, connection: connections, cookie: randomBytes(16).toString("hex") }));
    return { owing: () => answers.owed > 0 };
  });
}
