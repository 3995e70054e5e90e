/**
 * A connection that is read line by line, as mail protocols are; starts in the clear or in TLS and
 * can go over to TLS.
 */
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls, type SecureVersion, TLSSocket } from "node:tls";
import { constants, createDeflateRaw, createInflateRaw, type DeflateRaw, type InflateRaw } from "node:zlib";
import { patienceMs } from "./until.ts";

export interface Address {
  host: string;
  port: number;
  /** What is said before all else: the header of a load balancer. */
  preamble?: Buffer;
  /** The name that is given in TLS; "" gives none. */
  servername?: string;
  /** Of this machine, from which it connects. */
  localAddress?: string;
  /** What TLS goes on with, and what it leaves for the next connection (RFC 8446 §2.2). */
  kept?: KeptSession;
}

export interface KeptSession {
  session?: Buffer;
}

export interface Tls {
  servername?: string;
  alpn?: readonly string[];
  maxVersion?: SecureVersion;
}

export class LineSocket {
  #socket: Socket | TLSSocket;
  #buffer: Buffer = Buffer.alloc(0);
  #waiting: (() => void) | undefined;
  #ended: Error | undefined;
  #compression: { deflate: DeflateRaw; inflate: InflateRaw } | undefined;

  readonly #servername: string;
  readonly #kept: KeptSession;

  private constructor(socket: Socket, servername = "_relay.test", kept: KeptSession = {}) {
    this.#socket = socket;
    this.#servername = servername;
    this.#kept = kept;
    this.#listen();
  }

  static async open(address: Address, tls: Tls | undefined): Promise<LineSocket> {
    const { host, port, preamble, servername, localAddress, kept } = address;
    const socket = connectTcp({ host, port, noDelay: true, ...(localAddress && { localAddress }) });
    await once(socket, "connect");
    if (preamble) socket.write(preamble);
    const line = new LineSocket(socket, servername, kept);
    if (tls) await line.startTls(tls);
    return line;
  }

  /** Certificates are self-signed here; who is at the other end is known from the address. */
  async startTls({ servername = this.#servername, alpn = [], maxVersion }: Tls = {}): Promise<void> {
    this.#socket.removeAllListeners();
    const { session } = this.#kept;
    const socket = connectTls({
      socket: this.#socket,
      servername,
      rejectUnauthorized: false,
      ...(session && { session }),
      ...(alpn.length > 0 && { ALPNProtocols: [...alpn] }),
      ...(maxVersion && { maxVersion }),
    });
    socket.on("session", (next) => {
      this.#kept.session = next;
    });
    this.#socket = socket;
    await once(socket, "secureConnect");
    this.#listen();
  }

  /** What a client's first steps give; where one fails nobody has the connection, and it ends. */
  async begin<T>(steps: () => Promise<T>): Promise<T> {
    try {
      return await steps();
    } catch (thrown) {
      this.destroy();
      throw thrown;
    }
  }

  /** From here on both sides compress (RFC 4978). Call it right after the server has agreed. */
  compress(): void {
    const socket = this.#socket;
    const deflate = createDeflateRaw({ flush: constants.Z_SYNC_FLUSH });
    const inflate = createInflateRaw();
    socket.removeAllListeners("data");
    deflate.on("data", (chunk: Buffer) => socket.write(chunk));
    for (const each of [deflate, inflate]) each.on("error", (thrown) => socket.destroy(thrown));
    inflate.on("data", (chunk: Buffer) => this.#take(chunk));
    socket.on("data", (chunk: Buffer) => inflate.write(chunk));
    this.#compression = { deflate, inflate };
  }

  get encrypted(): boolean {
    return "getProtocol" in this.#socket;
  }

  /**
   * SHA-256 of the certificate that the server has shown, as the status has it; and the protocol
   * that it chose by ALPN.
   */
  get shown(): { sha256: string; protocol: string | false | null } {
    if (!(this.#socket instanceof TLSSocket)) throw new Error("not in TLS");
    const { fingerprint256 } = this.#socket.getPeerCertificate();
    return { sha256: fingerprint256.replaceAll(":", "").toLowerCase(), protocol: this.#socket.alpnProtocol };
  }

  /** Whether TLS goes on with what an earlier connection has left, without the certificate. */
  get isResumed(): boolean {
    return this.#socket instanceof TLSSocket && this.#socket.isSessionReused();
  }

  write(text: string | Buffer): void {
    (this.#compression?.deflate ?? this.#socket).write(text);
  }

  /** The next line without its CRLF. Throws when the peer closes, or says nothing for long. */
  async line(): Promise<string> {
    const found = await this.#until(() => {
      const end = this.#buffer.indexOf("\r\n");
      return end < 0 ? undefined : end;
    });
    const text = this.#buffer.subarray(0, found).toString("latin1");
    this.#buffer = this.#buffer.subarray(found + 2);
    return text;
  }

  async bytes(count: number): Promise<Buffer> {
    await this.#until(() => (this.#buffer.length >= count ? count : undefined));
    const bytes = this.#buffer.subarray(0, count);
    this.#buffer = this.#buffer.subarray(count);
    return bytes;
  }

  /** Resolves when the peer has closed. */
  async closed(): Promise<void> {
    await this.#until(() => (this.#ended ? 0 : undefined), false);
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #listen() {
    const socket = this.#socket;
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
    const end = (error?: Error) => {
      this.#ended ??= error ?? new Error("the peer closed the connection");
      this.#waiting?.();
    };
    socket.on("error", end);
    socket.on("close", () => end());
  }

  #take(chunk: Buffer) {
    this.#buffer = Buffer.concat([this.#buffer, chunk]);
    this.#waiting?.();
  }

  async #until(ready: () => number | undefined, needsPeer = true): Promise<number> {
    const end = performance.now() + patienceMs.mail;
    for (;;) {
      const found = ready();
      if (found !== undefined) return found;
      if (this.#ended && needsPeer) throw this.#ended;
      const rest = end - performance.now();
      if (rest <= 0) throw new Error(`the peer said nothing for ${patienceMs.mail} ms`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, rest);
        this.#waiting = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#waiting = undefined;
    }
  }
}

function once(socket: Socket, event: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => socket.destroy(new Error(`no ${event} in ${patienceMs.socket} ms`)),
      patienceMs.socket,
    );
    socket.once("error", reject);
    socket.once(event, () => {
      clearTimeout(timer);
      socket.off("error", reject);
      resolve();
    });
  });
}
