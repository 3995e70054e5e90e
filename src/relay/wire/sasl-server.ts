/** Postfix's password questions. When a password can't be checked now the connection is closed: Postfix then answers 454, "try again", and not 535, "wrong password". */
import { randomBytes } from "node:crypto";
import { LineReader } from "../../lib/lines.ts";
import { InTurn } from "./in-turn.ts";
import { emptyChallenge, fail, greeting, ok, parseClientLine, parsePlain } from "./sasl.ts";
import { type Door, openDoor } from "./unix-socket.ts";

export type PasswordVerdict =
  | { kind: "ok"; account: { address: string } }
  /** It can't be checked now. */
  | { kind: "later" }
  | { kind: "wrongPassword" | "unknown" };

export interface SaslOptions {
  path: string;
  login(user: string, password: string, client: string | undefined): Promise<PasswordVerdict>;
  onFailure: (thrown: unknown) => void;
  onProtocolError(why: string): void;
}

/** Postfix passes responses of up to 12,288 bytes (`smtpd_sasl_response_limit`): too long a one is a wrong password, not a broken connection. */
const maxLineBytes = 16_384;

export function openSasl(options: SaslOptions): Promise<Door> {
  let connections = 0;
  return openDoor(options.path, (socket) => {
    const reader = new LineReader(maxLineBytes);
    const answers = new InTurn(socket);
    const end = (why: string) => {
      options.onProtocolError(why);
      socket.destroy();
    };
    /**
     * The one dialogue whose response is awaited: smtpd has one at a time. A client that cancels (`*`) or leaves is known to
     * smtpd alone, so the next AUTH replaces what it left.
     */
    let awaited: { id: string; client: string | undefined } | undefined;
    const answer = async (line: string): Promise<void> => {
      if (socket.destroyed) return;
      const asked = parseClientLine(line);
      if (asked.kind === "wrong") return end(asked.why);
      if (asked.kind === "ignored") return;
      const begun = awaited;
      awaited = undefined;
      if (asked.kind === "continue") {
        if (begun?.id === asked.id) return decide(asked.id, asked.response, begun.client);
        socket.write(fail(asked.id));
      } else if (asked.mechanism !== "PLAIN") {
        socket.write(fail(asked.id));
      } else if (asked.response === undefined) {
        awaited = { id: asked.id, client: asked.client };
        socket.write(emptyChallenge(asked.id));
      } else return decide(asked.id, asked.response, asked.client);
    };
    const decide = async (id: string, response: string, client: string | undefined): Promise<void> => {
      const plain = parsePlain(response);
      const login = plain && (await options.login(plain.user, plain.password, client));
      if (socket.destroyed) return;
      // the protocol has no temporary failure that Postfix understands; an ended connection is one
      if (login?.kind === "later") return void socket.destroy();
      socket.write(login?.kind === "ok" ? ok(id, login.account.address) : fail(id, plain?.user.toLowerCase()));
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
