/** Which certificate a port presents, to whom names a domain in TLS and to whom names none. */
import type { X509Certificate } from "node:crypto";
import { connect, isIPv6, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { LineReader } from "../lib/lines.ts";
import { codeOf, messageOf } from "../lib/text.ts";

export interface Presenter {
  host: string;
  port: number;
  /** Named in TLS (SNI); undefined: none is. */
  name?: string | undefined;
  /** What has to be said before TLS begins; undefined where the port begins with TLS. */
  startTls?: "smtp" | "imap" | undefined;
  /** The port has to be told who the client is before all else. */
  proxyProtocol?: boolean;
}

const closed = "the connection was closed";
const maxLineBytes = 8_192;
const closings: ReadonlySet<string> = new Set(["ERR_STREAM_PREMATURE_CLOSE", "ECONNRESET", "EPIPE"]);

/**
 * The certificate, whoever has signed it and for whatever names. Throws with what failed; ends when
 * the signal is aborted.
 */
export async function presentedBy(at: Presenter, signal: AbortSignal): Promise<X509Certificate> {
  const { host, port, name, startTls, proxyProtocol } = at;
  const plain = connect({ host, port, noDelay: true, signal });
  try {
    await once(plain, "connect");
    if (proxyProtocol) plain.write(proxyHeader(plain));
    if (startTls) await untilTls(plain, startTls);
    const secure = connectTls({
      socket: plain,
      rejectUnauthorized: false,
      ...(name !== undefined && { servername: name }),
    });
    await once(secure, "secureConnect");
    const certificate = secure.getPeerX509Certificate();
    // in words, where the protocol has some: programs log a connection that just ends
    secure.on("error", () => undefined).end(startTls === undefined ? "" : goodbye[startTls]);
    if (!certificate) throw new Error("no certificate was presented");
    return certificate;
  } catch (thrown) {
    if (signal.aborted) throw signal.reason;
    throw new Error(closings.has(codeOf(thrown) ?? "") ? closed : messageOf(thrown), { cause: thrown });
  } finally {
    // what was said last may still be on its way
    plain.destroySoon();
  }
}

/** Version 1. Who knocks is the operator, at the address that it has reached. */
function proxyHeader({ localAddress = "", remoteAddress = "", localPort, remotePort }: Socket): string {
  const [from, to] = [localAddress, remoteAddress].map((each) => each.replace(/^::ffff:(?=\d+\.)/, ""));
  return `PROXY ${isIPv6(to ?? "") ? "TCP6" : "TCP4"} ${from} ${to} ${localPort} ${remotePort}\r\n`;
}

const goodbye = { smtp: "QUIT\r\n", imap: "b LOGOUT\r\n" } as const;

/** RFC 3207 and RFC 9051 §6.2.1. */
async function untilTls(socket: Socket, protocol: "smtp" | "imap"): Promise<void> {
  const lines = new Lines(socket);
  try {
    if (protocol === "imap") {
      await lines.next(/^\* OK/);
      socket.write("a STARTTLS\r\n");
      await lines.next(/^a OK/, /^\* /);
      return;
    }
    const more = /^\d{3}-/;
    await lines.next(/^220 /, more);
    socket.write("EHLO operator.invalid\r\n");
    await lines.next(/^250 /, more);
    socket.write("STARTTLS\r\n");
    await lines.next(/^220 /, more);
  } finally {
    lines.end();
  }
}

/** What the peer says before TLS, by lines. */
class Lines {
  readonly #socket: Socket;
  readonly #reader = new LineReader(maxLineBytes);
  readonly #read: string[] = [];
  #failed: Error | undefined;
  #wake: () => void = () => undefined;

  constructor(socket: Socket) {
    this.#socket = socket.on("data", this.#take).on("error", this.#fail).on("close", this.#close);
  }

  /** The first line that matches; those that match `skip` may come before it. */
  async next(wanted: RegExp, skip?: RegExp): Promise<void> {
    for (;;) {
      const line = this.#read.shift();
      if (line !== undefined) {
        if (wanted.test(line)) return;
        if (!skip?.test(line)) throw new Error(`it answers ${JSON.stringify(line.slice(0, 200))}`);
      } else {
        if (this.#failed) throw this.#failed;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }

  /** What comes from now on is TLS. */
  end(): void {
    this.#socket.off("data", this.#take).off("close", this.#close).pause();
  }

  readonly #take = (chunk: Buffer) => {
    try {
      this.#read.push(...this.#reader.push(chunk).map((line) => line.toString("latin1").replace(/\r$/, "")));
    } catch (thrown) {
      this.#failed = thrown as Error;
    }
    this.#wake();
  };

  readonly #fail = (error: Error) => {
    this.#failed = error;
    this.#wake();
  };

  readonly #close = () => this.#fail(new Error(closed));
}

function once(socket: Socket, event: "connect" | "secureConnect"): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(event, resolve);
    // stays, so that a later error of the socket is nobody's crash
    socket.on("error", reject);
    socket.once("close", () => reject(new Error(closed)));
  });
}
