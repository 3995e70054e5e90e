/**
 * Postfix's password questions. When a password can't be checked now the connection is closed:
 * Postfix then answers 454, "try again", and not 535, "wrong password".
 */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { LineReader } from "../../lib/lines.ts";
import { type Answer, type FailureHandlers, LastAnswer, ProtocolError } from "./conversation.ts";
import { type ClientLine, emptyChallenge, fail, greeting, ok, parseClientLine, parsePlain } from "./sasl.ts";
import { openSocketServer, type SocketServer } from "./socket-server.ts";

export type PasswordVerdict =
  | { kind: "ok"; account: { address: string } }
  /** It can't be checked now. */
  | { kind: "later" }
  | { kind: "wrongPassword" | "unknown" };

export interface SaslOptions extends FailureHandlers {
  path: string;
  login: (user: string, password: string, client: string | undefined) => Promise<PasswordVerdict>;
  /**
   * Before any answer but OK: whoever tries passwords waits, as with Dovecot
   * (`auth_failure_delay`), also when they are not checked any more.
   */
  failureDelayMs?: number;
}

const builtInFailureDelayMs = 2_000;

/**
 * Postfix passes responses of up to 12,288 bytes (`smtpd_sasl_response_limit`): too long a one is a
 * wrong password, not a broken connection.
 */
const maxLineBytes = 16_384;

export function openSasl(options: SaslOptions): Promise<SocketServer> {
  let connections = 0;
  return openSocketServer({ ...options, at: options.path }, () => {
    const reader = new LineReader(maxLineBytes);
    const session = new SaslSession(options);
    const cookie = randomBytes(16).toString("hex");
    return {
      greeting: greeting({ pid: process.pid, connection: ++connections, cookie }),
      questions: (chunk) => reader.push(chunk),
      answer: (line) => session.answer(parseClientLine(line.toString("utf8"))),
    };
  });
}

class SaslSession {
  readonly #login: SaslOptions["login"];
  readonly #failureDelayMs: number;
  /**
   * The one dialogue whose response is awaited: smtpd has one at a time. A client that cancels
   * (`*`) or leaves is known to smtpd alone, so the next AUTH replaces what it left.
   */
  #awaited: { id: string; client: string | undefined } | undefined;

  constructor({ login, failureDelayMs = builtInFailureDelayMs }: SaslOptions) {
    this.#login = login;
    this.#failureDelayMs = failureDelayMs;
  }

  async answer(asked: ClientLine): Promise<Answer> {
    if (asked.kind === "wrong") throw new ProtocolError(asked.why);
    if (asked.kind === "ignored") return undefined;
    const begun = this.#awaited;
    this.#awaited = undefined;
    if (asked.kind === "continue") {
      return begun?.id === asked.id ? this.#decide(asked.id, asked.response, begun.client) : fail(asked.id);
    }
    if (asked.mechanism !== "PLAIN") return fail(asked.id);
    if (asked.response !== undefined) return this.#decide(asked.id, asked.response, asked.client);
    this.#awaited = { id: asked.id, client: asked.client };
    return emptyChallenge(asked.id);
  }

  async #decide(id: string, response: string, client: string | undefined): Promise<Answer> {
    const plain = parsePlain(response);
    const login = plain && (await this.#login(plain.user, plain.password, client));
    if (login?.kind === "ok") return ok(id, login.account.address);
    if (this.#failureDelayMs > 0) await sleep(this.#failureDelayMs, undefined, { ref: false });
    // the protocol has no temporary failure that Postfix understands; an ended connection is one
    if (login?.kind === "later") return new LastAnswer();
    return fail(id, plain?.user.toLowerCase());
  }
}
