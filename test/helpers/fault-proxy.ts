/**
 * Stands between a client and the real API server and does what networks, load balancers and busy
 * servers do. Two layers: connections (reset, half-close, black hole, drip), and behind them, with
 * the API server's own certificate, HTTP (answers, cut and mangled bodies).
 */
import { once } from "node:events";
import type http from "node:http";
import https from "node:https";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

export interface FaultProxy {
  url: URL;
  /** Requests that came so far, and the connections they came over. */
  requests(): number;
  connections(): number;
  /** Ends every open connection with RST. */
  reset(): void;
  /** The server's side of every open connection ends; the client's stays open. */
  halfClose(): void;
  /**
   * Nothing passes any more, nothing is closed. After `heal` new connections work; those of the
   * hole stay dead, as after a lost NAT entry.
   */
  blackHole(): void;
  /** Answers come in pieces of so many bytes, one each so many milliseconds. */
  drip(bytes: number, everyMs: number): void;
  /** Every request from now on gets this answer; null passes the request on. */
  answer(give: (request: FaultRequest) => FaultAnswer | null): void;
  /** A line that the server never sent, in every open watch. */
  sayInWatches(line: string): void;
  /** Every body from now on ends, as if complete, after this share of its first piece. */
  truncate(share: number): void;
  /**
   * From each open watch so many bytes are lost, from the middle of a line to the middle of a later
   * one.
   */
  swallow(bytes: number): void;
  /** Every open watch ends as if the server had ended it. */
  endWatches(): void;
  /** All faults are over. */
  heal(): void;
  close: () => Promise<void>;
}

export interface FaultRequest {
  method: string;
  path: string;
  watch: boolean;
  authorization: string;
}

export interface FaultAnswer {
  status: number;
  reason: string;
  headers?: Record<string, string>;
}

interface Link {
  front: Socket;
  back: Socket;
  dead: boolean;
}

interface OpenWatch {
  response: http.ServerResponse;
  toSwallow: number;
}

/**
 * `http: false` leaves out the second layer, so that the client speaks TLS, and HTTP/2 if it likes,
 * with the API server itself.
 */
export async function faultProxy(
  target: { url: URL; tls: { cert: string; key: string } },
  options: { http?: boolean } = {},
): Promise<FaultProxy> {
  const links = new Set<Link>();
  const watches = new Set<OpenWatch>();
  const agent = new https.Agent({ keepAlive: true, ca: target.tls.cert });
  let requests = 0;
  let connections = 0;
  let hole = false;
  let pace: { bytes: number; everyMs: number } | undefined;
  let giveAnswer: Parameters<FaultProxy["answer"]>[0] = () => null;
  let cutAt: number | undefined;

  const inner = https.createServer({ cert: target.tls.cert, key: target.tls.key }, (incoming, outgoing) => {
    requests++;
    const path = incoming.url ?? "/";
    const watch = new URL(path, target.url).searchParams.has("watch");
    const { method = "GET", headers: received } = incoming;
    const given = giveAnswer({ method, path, watch, authorization: received.authorization ?? "" });
    if (given) {
      incoming.resume();
      outgoing.writeHead(given.status, { "content-type": "application/json", ...given.headers });
      outgoing.end(statusText(given.status, given.reason));
      return;
    }
    // Bodies are looked into, so they come plain.
    const { "accept-encoding": _, host: __, ...headers } = received;
    const onward = https.request(new URL(path, target.url), { method, headers, agent });
    onward.on("response", (answer) => relay(answer, outgoing, watch));
    onward.on("error", () => outgoing.destroy());
    outgoing.on("close", () => onward.destroy());
    incoming.pipe(onward);
  });

  const relay = (answer: http.IncomingMessage, outgoing: http.ServerResponse, watch: boolean) => {
    const { "content-length": _, "transfer-encoding": __, connection: ___, ...headers } = answer.headers;
    outgoing.writeHead(answer.statusCode ?? 502, headers);
    outgoing.flushHeaders();
    const open: OpenWatch = { response: outgoing, toSwallow: 0 };
    if (watch) watches.add(open);
    outgoing.on("error", () => {});
    answer.on("data", (piece: Buffer) => {
      if (outgoing.writableEnded) return;
      if (cutAt !== undefined) {
        outgoing.end(piece.subarray(0, Math.max(1, Math.floor(piece.length * cutAt))));
        answer.destroy();
        return;
      }
      if (open.toSwallow === 0) return void outgoing.write(piece);
      const { from, to } = lossIn(piece, open.toSwallow);
      open.toSwallow -= to - from;
      outgoing.write(Buffer.concat([piece.subarray(0, from), piece.subarray(to)]));
    });
    answer.on("end", () => outgoing.end());
    answer.on("error", () => outgoing.destroy());
    outgoing.on("close", () => {
      watches.delete(open);
      answer.destroy();
    });
  };

  if (options.http !== false) await listening(inner);
  const behind = options.http === false ? Number(target.url.port) : (inner.address() as AddressInfo).port;

  const outer = createServer({ allowHalfOpen: true }, (front) => {
    connections++;
    const back = connect({ port: behind, host: "127.0.0.1", allowHalfOpen: true });
    const link: Link = { front, back, dead: hole };
    links.add(link);
    front.setNoDelay(true);
    front.on("data", (piece) => !link.dead && back.writable && back.write(piece));
    let turn = Promise.resolve();
    back.on("data", (piece: Buffer) => {
      turn = turn.then(async () => {
        for (let at = 0; at < piece.length; ) {
          if (link.dead || !front.writable) return;
          const size = pace?.bytes ?? piece.length;
          front.write(piece.subarray(at, at + size));
          at += size;
          if (pace) await sleep(pace.everyMs);
        }
      });
    });
    front.on("end", () => !link.dead && back.end());
    back.on("end", () => turn.then(() => !link.dead && front.end()));
    for (const [one, other] of [
      [front, back],
      [back, front],
    ] as const) {
      one.on("error", () => {});
      one.on("close", () => {
        if (!link.dead) other.destroy();
        if (front.destroyed) {
          back.destroy();
          links.delete(link);
        }
      });
    }
  });
  await listening(outer);

  const heal = () => {
    hole = false;
    pace = undefined;
    cutAt = undefined;
    giveAnswer = () => null;
    for (const watch of watches) watch.toSwallow = 0;
  };

  return {
    url: new URL(`https://127.0.0.1:${(outer.address() as AddressInfo).port}`),
    requests: () => requests,
    connections: () => connections,
    reset() {
      for (const { front, back } of links) {
        front.resetAndDestroy();
        back.destroy();
      }
    },
    halfClose() {
      for (const { front } of links) front.end();
    },
    blackHole() {
      hole = true;
      for (const link of links) link.dead = true;
    },
    drip(bytes, everyMs) {
      pace = { bytes, everyMs };
    },
    answer(give) {
      giveAnswer = give;
    },
    sayInWatches(line) {
      for (const { response } of watches) if (!response.writableEnded) response.write(`${line}\n`);
    },
    truncate(share) {
      cutAt = share;
    },
    swallow(bytes) {
      for (const watch of watches) watch.toSwallow = bytes;
    },
    endWatches() {
      for (const { response } of watches) response.end();
    },
    heal,
    async close() {
      heal();
      for (const { front, back } of links) {
        front.destroy();
        back.destroy();
      }
      agent.destroy();
      inner.closeAllConnections();
      inner.close();
      outer.close();
    },
  };
}

async function listening(server: { listen(port: number, host: string): unknown } & NodeJS.EventEmitter): Promise<void> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
}

/** A Status object, as the API server says no. */
function statusText(code: number, reason: string): string {
  return JSON.stringify({
    kind: "Status",
    apiVersion: "v1",
    status: "Failure",
    message: `fault: ${reason}`,
    code,
    reason,
  });
}

/**
 * From the middle of a piece. Where what is left would be a line that can be read, one byte more is
 * lost: nobody could know that a line is missing.
 */
function lossIn(piece: Buffer, bytes: number): { from: number; to: number } {
  const middle = Math.floor(piece.length / 2);
  const from = piece[middle - 1] === newline ? middle + 1 : middle;
  let to = Math.min(piece.length, from + bytes);
  const isRead = () => {
    const end = piece.indexOf(newline, to);
    const rest = piece.subarray(to, end < 0 ? piece.length : end);
    return isJson(Buffer.concat([piece.subarray(piece.lastIndexOf(newline, from - 1) + 1, from), rest]).toString());
  };
  while (to < piece.length && isRead()) to++;
  return { from, to };
}

const newline = 0x0a;

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
