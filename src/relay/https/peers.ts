/**
 * HTTPS to other relays: HTTP/2 where the peer has it, else HTTP/1.1; connections are kept and used
 * again. A request is opened before its body is there, so that a peer that can't be reached costs
 * no mail its time.
 */
import http2 from "node:http2";
import https from "node:https";
import { isIP, type LookupFunction, type TcpSocketConnectOpts } from "node:net";
import type { Writable } from "node:stream";
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls";
import { codeOf } from "../../lib/text.ts";
import { urlHost } from "../../lib/url-host.ts";
import type { MayConnect } from "./allowed-lookup.ts";
import { allowedLookup, PeerRefused, requireAllowed } from "./allowed-lookup.ts";

export interface Target {
  host: string;
  /** Self-signed certificates are fine. */
  unverified: boolean;
}

/** Names and values; a list is one header for each of its values. */
export type Headers = Readonly<Record<string, string | readonly string[]>>;

export interface PeerAnswer {
  status: number;
  /** The beginning of the body. */
  text: string;
}

/** What went wrong with a connection; `reason` as the metric has it. */
export class PeerError extends Error {
  override readonly name = "PeerError";
  readonly reason:
    | "connection_timeout"
    | "connection_refused"
    | "tls_cert_not_verified"
    | "tls_handshake"
    | "lost_connection"
    /** It may not be connected to; nothing was sent. */
    | "refused_address"
    | "other";

  constructor(reason: PeerError["reason"], message: string, cause?: unknown) {
    super(message, { cause });
    this.reason = reason;
  }
}

/** A request whose headers are sent. */
export interface OpenRequest {
  protocol: "h2" | "http/1.1";
  /**
   * Resolves when more may be written. After an early answer the rest of the body is thrown away.
   * Throws PeerError.
   */
  write(chunk: Buffer): Promise<void>;
  /** Ends the body and waits for the answer. Throws PeerError. */
  finish(): Promise<PeerAnswer>;
  abort(): void;
}

export interface PeersOptions {
  lookup: LookupFunction;
  /**
   * For the addresses of names and for addresses in place of names, each time that a connection
   * begins.
   */
  mayConnect: MayConnect;
  port?: number;
  /** From name look-up to the end of the TLS handshake. */
  connectMs?: number;
  /** For the peer to take some bytes. A mail that is given up here is one that the peer has not. */
  stallMs?: number;
  /**
   * For the answer after the last byte. Given up here, it may be there already, so this is long.
   */
  answerMs?: number;
}

const mostAnswerBytes = 4096;
/** An idle connection is asked whether it still lives, if it was not used for this long. */
const doubtAfterMs = 5000;
const idleMs = 60_000;

type Known = { protocol: "h2"; session: http2.ClientHttp2Session; usedAt: number } | { protocol: "http/1.1" };

export class Peers {
  readonly #options: PeersOptions;
  readonly #known = new Map<string, Promise<Known>>();
  readonly #agent = new https.Agent({
    keepAlive: true,
    maxFreeSockets: 4,
    timeout: idleMs,
    ALPNProtocols: ["http/1.1"],
  });

  constructor(options: PeersOptions) {
    this.#options = options;
  }

  /** Throws PeerError. */
  async open(target: Target, request: { method: string; path: string; headers: Headers }): Promise<OpenRequest> {
    const { connectMs = 3000 } = this.#options;
    const opening = this.#open(target, request);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        this.#known.delete(keyOf(target));
        reject(new PeerError("connection_timeout", `no connection to ${target.host} in ${connectMs} ms`));
      }, connectMs);
    });
    try {
      return await Promise.race([opening, late]);
    } catch (thrown) {
      opening.then(
        (request) => request.abort(),
        () => undefined,
      );
      throw thrown;
    } finally {
      clearTimeout(timer);
    }
  }

  /** A request without a body. */
  async get(target: Target, path: string): Promise<PeerAnswer> {
    return (await this.open(target, { method: "GET", path, headers: {} })).finish();
  }

  close(): void {
    this.#agent.destroy();
    for (const known of this.#known.values()) {
      known.then(
        (each) => each.protocol === "h2" && each.session.destroy(),
        () => undefined,
      );
    }
    this.#known.clear();
  }

  async #open(target: Target, request: { method: string; path: string; headers: Headers }): Promise<OpenRequest> {
    const known = await this.#living(target);
    return known.protocol === "h2" ? this.#open2(known.session, request) : this.#open1(target, request);
  }

  async #living(target: Target): Promise<Known> {
    const key = keyOf(target);
    const before = this.#known.get(key);
    const known = await before?.catch(() => undefined);
    if (known?.protocol === "http/1.1") return known;
    if (known && !known.session.closed && !known.session.destroyed && (await answersPing(known))) {
      known.usedAt = Date.now();
      return known;
    }
    // many mails at once to one peer share the connection that the first of them opens
    if (before === this.#known.get(key)) this.#known.set(key, this.#connect(target));
    return this.#known.get(key) ?? this.#connect(target);
  }

  async #connect(target: Target): Promise<Known> {
    const forget = () => this.#known.delete(keyOf(target));
    try {
      const socket = await this.#handshake(target);
      if (socket.alpnProtocol !== "h2") {
        socket.destroy();
        // it may learn HTTP/2
        setTimeout(forget, 3_600_000).unref();
        return { protocol: "http/1.1" };
      }
      const session = http2.connect(originOf(target), { createConnection: () => socket });
      session.on("error", forget);
      session.on("goaway", forget);
      session.on("close", forget);
      session.setTimeout(idleMs, () => session.close());
      return { protocol: "h2", session, usedAt: Date.now() };
    } catch (thrown) {
      forget();
      throw peerErrorOf(thrown, target);
    }
  }

  #handshake(target: Target): Promise<TLSSocket> {
    const { lookup, mayConnect, port = 443, connectMs = 3000 } = this.#options;
    requireAllowed(target.host, mayConnect);
    return new Promise((resolve, reject) => {
      const place: ConnectionOptions & Pick<TcpSocketConnectOpts, "autoSelectFamily"> = {
        host: target.host,
        port,
        lookup: allowedLookup(lookup, mayConnect),
        autoSelectFamily: true,
      };
      const socket = connectTls({ ...this.#tlsOptions(target), ...place, ALPNProtocols: ["h2", "http/1.1"] });
      const timer = setTimeout(
        () => socket.destroy(Object.assign(new Error("no answer"), { code: "ETIMEDOUT" })),
        connectMs,
      );
      socket.setNoDelay(true);
      socket.once("error", reject);
      socket.once("close", () => clearTimeout(timer));
      socket.once("secureConnect", () => {
        clearTimeout(timer);
        socket.off("error", reject);
        socket.on("error", () => undefined);
        resolve(socket);
      });
    });
  }

  #tlsOptions({ host, unverified }: Target) {
    return {
      rejectUnauthorized: !unverified,
      minVersion: "TLSv1.2" as const,
      ...(isIP(host) === 0 ? { servername: host } : {}),
    };
  }

  #open2(session: http2.ClientHttp2Session, { method, path, headers }: Parameters<Peers["open"]>[1]): OpenRequest {
    const stream = session.request(
      { ":method": method, ":path": path, ...(headers as Record<string, string | string[]>) },
      { endStream: method === "GET" },
    );
    const answer = new Promise<PeerAnswer>((resolve, reject) => {
      let answered = false;
      stream.once("response", (head) => {
        answered = true;
        readText(stream).then((text) => resolve({ status: Number(head[":status"]), text }), reject);
      });
      stream.once("error", reject);
      // after an answer the reader of its text tells how it ended
      stream.once("close", () => answered || reject(new Error(`the peer ended the request (code ${stream.rstCode})`)));
    });
    return this.#request("h2", stream, answer, () => stream.close(http2.constants.NGHTTP2_CANCEL));
  }

  async #open1(target: Target, { method, path, headers }: Parameters<Peers["open"]>[1]): Promise<OpenRequest> {
    const { lookup, mayConnect, port = 443 } = this.#options;
    requireAllowed(target.host, mayConnect);
    const request = https.request({
      ...this.#tlsOptions(target),
      agent: this.#agent,
      host: target.host,
      port,
      lookup: allowedLookup(lookup, mayConnect),
      method,
      path,
      headers: headers as Record<string, string | string[]>,
    });
    const answer = new Promise<PeerAnswer>((resolve, reject) => {
      let answered = false;
      request.once("response", (response) => {
        answered = true;
        readText(response).then((text) => resolve({ status: response.statusCode ?? 0, text }), reject);
      });
      request.on("error", reject);
      request.once("close", () => answered || reject(new Error("the peer ended the connection")));
    });
    answer.catch(() => undefined);
    const connected = new Promise<void>((resolve) => {
      request.once("socket", (socket) => {
        const tls = socket as TLSSocket;
        tls.setNoDelay(true);
        if (request.reusedSocket) resolve();
        else tls.once("secureConnect", () => resolve());
      });
    });
    if (method !== "GET") request.flushHeaders();
    else request.end();
    try {
      await Promise.race([connected, answer]);
    } catch (thrown) {
      throw peerErrorOf(thrown, target);
    }
    return this.#request("http/1.1", request, answer, () => request.destroy());
  }

  #request(
    protocol: OpenRequest["protocol"],
    body: Writable,
    answer: Promise<PeerAnswer>,
    abort: () => void,
  ): OpenRequest {
    const { stallMs = 15_000, answerMs = 60_000 } = this.#options;
    let answered = false;
    // also keeps a failure from being an unhandled one while nobody waits
    answer.then(
      () => (answered = true),
      () => (answered = true),
    );
    const orPeerError = async <T>(work: Promise<T>, patienceMs: number): Promise<T> => {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => {
          abort();
          reject(new PeerError("connection_timeout", `the peer said nothing for ${patienceMs} ms`));
        }, patienceMs);
      });
      try {
        return await Promise.race([work, late]);
      } catch (thrown) {
        throw peerErrorOf(thrown);
      } finally {
        clearTimeout(timer);
      }
    };
    return {
      protocol,
      write: async (chunk) => {
        if (answered || body.destroyed || body.writableEnded) return;
        if (body.write(chunk)) return;
        const drained = new Promise<void>((resolve) => body.once("drain", resolve));
        await orPeerError(Promise.race([drained, answer.then(() => undefined)]), stallMs);
      },
      finish: async () => {
        if (!body.writableEnded && !body.destroyed) body.end();
        return orPeerError(answer, answerMs);
      },
      abort,
    };
  }
}

const keyOf = ({ host, unverified }: Target) => `${unverified ? "any" : "verified"} ${host}`;

const originOf = ({ host }: Target) => `https://${urlHost(host)}`;

async function answersPing(known: { session: http2.ClientHttp2Session; usedAt: number }): Promise<boolean> {
  if (Date.now() - known.usedAt < doubtAfterMs) return true;
  const { session } = known;
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      session.destroy();
      resolve(false);
    }, 1000);
    const end = (answer: boolean) => {
      clearTimeout(timer);
      resolve(answer);
    };
    try {
      if (!session.ping((error) => end(error === null))) end(false);
    } catch {
      end(false);
    }
  });
}

async function readText(body: AsyncIterable<Buffer | string>): Promise<string> {
  let text = "";
  for await (const chunk of body) if (text.length < mostAnswerBytes) text += chunk.toString("latin1");
  return text.slice(0, mostAnswerBytes);
}

function peerErrorOf(thrown: unknown, target?: Target): PeerError {
  if (thrown instanceof PeerError) return thrown;
  if (isRefused(thrown)) return new PeerError("refused_address", "it may not be connected to", thrown);
  const code = codeOf(thrown) ?? "";
  const where = target ? `${target.host}: ` : "";
  const message = where + (thrown instanceof Error ? thrown.message : String(thrown));
  return new PeerError(reasonOf(code), message, thrown);
}

/** Where several addresses were tried, the failures stand in one. */
function isRefused(thrown: unknown): boolean {
  return thrown instanceof PeerRefused || (thrown instanceof AggregateError && thrown.errors.some(isRefused));
}

function reasonOf(code: string): PeerError["reason"] {
  if (code === "ETIMEDOUT" || code === "ETIMEOUT") return "connection_timeout";
  if (["ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH"].includes(code)) return "connection_refused";
  if (/CERT|ALTNAME|UNABLE_TO|SELF_SIGNED/.test(code)) return "tls_cert_not_verified";
  if (code === "EPROTO" || code.startsWith("ERR_SSL_")) return "tls_handshake";
  if (["ECONNRESET", "EPIPE"].includes(code) || code.startsWith("ERR_HTTP2")) return "lost_connection";
  return "other";
}
