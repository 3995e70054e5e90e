/**
 * The server side of SMTP as Postfix's client speaks it to us: lines ↔ values, and where a message
 * ends.
 */

export type Command =
  | { kind: "hello"; extended: boolean }
  | { kind: "mail"; sender: string; sizeBytes: number | undefined }
  | { kind: "recipient"; address: string }
  /** MAIL or RCPT with an address that no header can hold safely, such as a quoted one. */
  | { kind: "oddAddress" }
  | { kind: "data" | "reset" | "noop" | "quit" | "unknown" };

export function parseCommand(line: string): Command {
  const [, verb = ""] = /^([A-Za-z]+)/.exec(line) ?? [];
  switch (verb.toUpperCase()) {
    case "EHLO":
    case "HELO":
      return { kind: "hello", extended: verb.toUpperCase() === "EHLO" };
    case "MAIL": {
      const match = /^MAIL FROM:[ ]?<([^<>"\s]*)>(?: (.*))?$/i.exec(line);
      if (!match) return { kind: "oddAddress" };
      const size = /(?:^| )SIZE=([0-9]{1,15})(?: |$)/i.exec(match[2] ?? "")?.[1];
      return { kind: "mail", sender: match[1] as string, sizeBytes: size === undefined ? undefined : Number(size) };
    }
    case "RCPT": {
      const match = /^RCPT TO:[ ]?<([^<>"\s]+)>(?: .*)?$/i.exec(line);
      return match ? { kind: "recipient", address: match[1] as string } : { kind: "oddAddress" };
    }
    case "DATA":
      return { kind: "data" };
    case "RSET":
      return { kind: "reset" };
    case "NOOP":
      return { kind: "noop" };
    case "QUIT":
      return { kind: "quit" };
    default:
      return { kind: "unknown" };
  }
}

const end = Buffer.from("\r\n.\r\n");

/**
 * Finds the lone dot that ends a message. What comes out is the message as it came in: dot-stuffed,
 * without that dot.
 */
export class DataEnd {
  /** What may be the beginning of the end; the message begins as if after a line. */
  #held: Buffer = Buffer.from("\r\n");
  /** Bytes of `#held` that are not the message's. */
  #borrowed = 2;

  /** `rest` is there when the message has ended: what the peer sent after it. */
  push(chunk: Buffer): { data: Buffer; rest?: Buffer } {
    const bytes = Buffer.concat([this.#held, chunk]);
    const at = bytes.indexOf(end);
    if (at >= 0) {
      return {
        data: bytes.subarray(Math.min(this.#borrowed, at + 2), at + 2),
        rest: bytes.subarray(at + end.length),
      };
    }
    const keep = Math.min(bytes.length, end.length - 1);
    const out = bytes.length - keep;
    const data = bytes.subarray(Math.min(this.#borrowed, out), out);
    this.#borrowed = Math.max(0, this.#borrowed - out);
    this.#held = Buffer.from(bytes.subarray(out));
    return { data };
  }
}
