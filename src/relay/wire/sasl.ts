/**
 * Dovecot's auth protocol, as far as Postfix's smtpd speaks it: lines of fields with TABs between.
 */

export type ClientLine =
  /** `client`: the address that Postfix sees it at. */
  | { kind: "auth"; id: string; mechanism: string; response: string | undefined; client: string | undefined }
  /** The client's answer to a challenge. */
  | { kind: "continue"; id: string; response: string }
  | { kind: "ignored" }
  | { kind: "wrong"; why: "another version" | "unknown command" | `malformed ${"AUTH" | "CONT"}` };

/** What a server says first, without being asked. `cookie` is 32 hexadecimal digits. */
export function greeting(options: { pid: number; connection: number; cookie: string }): string {
  return [
    "VERSION\t1\t2",
    "MECH\tPLAIN\tplaintext",
    `SPID\t${options.pid}`,
    `CUID\t${options.connection}`,
    `COOKIE\t${options.cookie}`,
    "DONE",
    "",
  ].join("\n");
}

export function parseClientLine(line: string): ClientLine {
  const [command, ...fields] = line.split("\t");
  if (command === "VERSION") {
    return fields[0] === "1" ? { kind: "ignored" } : { kind: "wrong", why: "another version" };
  }
  if (command === "CONT") {
    const [id, response] = fields;
    if (!id || !isId(id) || response === undefined) return { kind: "wrong", why: "malformed CONT" };
    return { kind: "continue", id, response };
  }
  if (command !== "AUTH") return command === "CPID" ? { kind: "ignored" } : { kind: "wrong", why: "unknown command" };
  const [id, mechanism, ...parameters] = fields;
  if (!id || !isId(id) || !mechanism) return { kind: "wrong", why: "malformed AUTH" };
  const parameter = (name: string) => parameters.find((each) => each.startsWith(`${name}=`))?.slice(name.length + 1);
  return {
    kind: "auth",
    id,
    mechanism: mechanism.toUpperCase(),
    response: parameter("resp"),
    client: parameter("rip"),
  };
}

const isId = (text: string) => /^[0-9]{1,10}$/.test(text);

/**
 * User and password of a PLAIN response (RFC 4616); undefined where it is none, or one user asks to
 * act as another.
 */
export function parsePlain(response: string): { user: string; password: string } | undefined {
  if (response.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(response)) return undefined;
  const [actAs, user, password, ...rest] = Buffer.from(response, "base64").toString("utf8").split("\0");
  if (!user || password === undefined || rest.length > 0) return undefined;
  return actAs === "" || actAs?.toLowerCase() === user.toLowerCase() ? { user, password } : undefined;
}

/** PLAIN has no challenge, so this one is empty: the client's response comes next (RFC 4954 §4). */
export const emptyChallenge = (id: string) => `CONT\t${id}\t\n`;

export const ok = (id: string, user: string) => `OK\t${id}\tuser=${user}\n`;

/** `user` only where it can't break the line. */
export const fail = (id: string, user?: string) =>
  user !== undefined && /^[\x21-\x7e\x80-\uffff]{1,320}$/.test(user) ? `FAIL\t${id}\tuser=${user}\n` : `FAIL\t${id}\n`;
