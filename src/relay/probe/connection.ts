/** A connection of the probe to a public port of the pod: TLS, and lines in it. */
import { connect, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { isAddressLiteral } from "../../api/domain.ts";
import { LineReader } from "../../lib/lines.ts";
import { codeOf, messageOf } from "../../lib/text.ts";
import { withoutProbes } from "./accounts.ts";
import type { ProbeStep } from "./policy.ts";

/** A sentence or two; a peer may say as much as it likes. */
const mostWords = 500;

/** What failed, in words for a person. */
export class StepFailed extends Error {
  override readonly name = "StepFailed";
  readonly step: ProbeStep;

  constructor(step: ProbeStep, message: string, options?: ErrorOptions) {
    super(withoutProbes(message).slice(0, mostWords), options);
    this.step = step;
  }
}

export interface Target {
  /** As people know it: "IMAP, port 993". */
  service: string;
  host: string;
  port: number;
  /** Named in TLS, so that its certificate is served. */
  domain: string;
  /** The port has to be told who the client is before all else. */
  proxyProtocol: boolean;
}

/** For each step, on a small machine that is busy. */
const stepMs = 20_000;
/** More than any line of an answer that the probe requests. */
const maxLineBytes = 65_536;

export interface StepOptions {
  ms?: number;
  /** What is said when the time is over. */
  late?: string;
}

export class Connection {
  readonly #service: string;
  readonly #socket: TLSSocket;
  readonly #lines: AsyncGenerator<string, undefined>;

  private constructor(service: string, socket: TLSSocket) {
    this.#service = service;
    this.#socket = socket;
    this.#lines = linesOf(socket);
  }

  /**
   * Open, in TLS. The certificate is not verified: whether clients accept it is another question,
   * and the pod talks to itself here. Throws StepFailed. Ends when the signal is aborted.
   */
  static async open({ service, host, port, domain, proxyProtocol }: Target, signal: AbortSignal): Promise<Connection> {
    const plain = connect({ host, port, noDelay: true, signal });
    await taken({ step: "connect", service, socket: plain }, () => once(plain, "connect"));
    if (proxyProtocol) plain.write(`PROXY TCP4 ${host} ${host} ${plain.localPort} ${port}\r\n`);
    const name = isAddressLiteral(domain) ? {} : { servername: domain };
    const secure = connectTls({ socket: plain, rejectUnauthorized: false, minVersion: "TLSv1.3", ...name });
    await taken({ step: "TLS", service, socket: secure }, () => once(secure, "secureConnect"));
    return new Connection(service, secure);
  }

  /** Does what answers are waited for. Throws StepFailed, and the connection has ended then. */
  step<Value>(
    step: ProbeStep | (() => ProbeStep),
    work: () => Promise<Value>,
    options: StepOptions = {},
  ): Promise<Value> {
    return taken({ step, service: this.#service, socket: this.#socket, ...options }, work);
  }

  write(text: string): void {
    this.#socket.write(text, "latin1");
  }

  /** Without its end. Throws when the connection ends. */
  async line(): Promise<string> {
    const { value } = await this.#lines.next();
    if (value === undefined) throw new Error(closed);
    return value;
  }

  /** After what was written; what the peer still says is read by nobody. */
  end(): void {
    this.#socket.end();
    this.#socket.resume();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

const closed = "the connection was closed";
/** By the peer: while it is read from, and during the TLS handshake. */
const closings: ReadonlySet<string> = new Set(["ERR_STREAM_PREMATURE_CLOSE", "ECONNRESET"]);

interface Doing extends StepOptions {
  step: ProbeStep | (() => ProbeStep);
  service: string;
  socket: Socket | TLSSocket;
}

async function taken<Value>(
  { step, service, socket, ms = stepMs, late = `no answer within ${ms / 1000} s` }: Doing,
  work: () => Promise<Value>,
): Promise<Value> {
  const timer = setTimeout(() => socket.destroy(new Error(late)), ms);
  try {
    return await work();
  } catch (thrown) {
    socket.destroy();
    const why = closings.has(codeOf(thrown) ?? "") ? closed : messageOf(thrown);
    throw new StepFailed(typeof step === "function" ? step() : step, `${service}: ${why}`, { cause: thrown });
  } finally {
    clearTimeout(timer);
  }
}

function once(socket: Socket | TLSSocket, event: "connect" | "secureConnect"): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(event, resolve);
    // stays, so that a later error of the socket is nobody's crash
    socket.on("error", reject);
    socket.once("close", () => reject(new Error(closed)));
  });
}

async function* linesOf(socket: TLSSocket): AsyncGenerator<string, undefined> {
  const reader = new LineReader(maxLineBytes);
  for await (const chunk of socket) {
    for (const line of reader.push(chunk as Buffer)) yield line.toString("latin1").replace(/\r$/, "");
  }
  return undefined;
}
