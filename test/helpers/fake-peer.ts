/**
 * A relay of another make, as far as its HTTPS goes: `/mxdeliv` with answers that the test chooses.
 */
import {
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from "node:http2";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { makeSelfSigned } from "../../src/certificates/self-signed.ts";

export interface Delivery {
  protocol: string;
  /** Which connection it came by, counted from 1. */
  connection: number;
  sender: string | undefined;
  recipients: readonly string[];
  body: string;
}

export interface FakePeer {
  port: number;
  /** How many TCP connections it has had. */
  connections(): number;
  /** Mails that came, in their order. */
  deliveries: Delivery[];
  /**
   * What the next mails are answered; "hold": nothing, until `answer` is something else; "cut": the
   * connection is closed after the body.
   */
  answer: { status: number; text: string } | "hold" | "cut";
  /** Answers those that are held. */
  release(answer: { status: number; text: string }): void;
  close: () => Promise<void>;
}

export async function startFakePeer(options: {
  domain: string;
  host: string;
  port?: number;
  protocols?: readonly ("h2" | "http/1.1")[];
  /** For a GET of /mxdeliv. */
  found?: number;
}): Promise<FakePeer> {
  const { domain, host, port = 0, protocols = ["h2", "http/1.1"], found = 405 } = options;
  const { certificatePem, keyPem } = await makeSelfSigned(domain, new Date());
  const held: Http2ServerResponse[] = [];
  const connections = new Map<unknown, number>();
  const pair = { cert: certificatePem, key: keyPem };
  const server = (
    protocols.includes("h2") ? createSecureServer({ ...pair, allowHTTP1: true }) : createServer(pair)
  ) as Http2SecureServer;
  const sockets = new Set<{ destroy(): void }>();
  let opened = 0;
  server.on("connection", () => opened++);
  server.on("secureConnection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => undefined);
  });
  const values = (request: Http2ServerRequest, name: string) =>
    request.rawHeaders.filter((_, index, all) => index % 2 === 1 && all[index - 1]?.toLowerCase() === name);
  const end = (response: Http2ServerResponse, { status, text }: { status: number; text: string }) => {
    response.writeHead(status);
    response.end(text);
  };
  const peer: FakePeer = {
    port: 0,
    connections: () => opened,
    deliveries: [],
    answer: { status: 200, text: "250 OK" },
    release: (answer) => {
      for (const response of held.splice(0)) end(response, answer);
    },
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
  server.on("request", async (request, response) => {
    if (request.method !== "POST") return end(response, { status: found, text: "Method Not Allowed" });
    const chunks: Buffer[] = await request.toArray().catch(() => []);
    const socket = request.stream?.session?.socket ?? request.socket;
    if (!connections.has(socket)) connections.set(socket, connections.size + 1);
    peer.deliveries.push({
      protocol: request.httpVersion,
      connection: connections.get(socket) ?? 0,
      sender: values(request, "x-mail-from")[0],
      recipients: values(request, "x-mail-to"),
      body: Buffer.concat(chunks).toString("latin1"),
    });
    if (peer.answer === "hold") held.push(response);
    else if (peer.answer === "cut")
      request.stream?.session ? request.stream.session.destroy() : request.socket.destroy();
    else end(response, peer.answer);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => resolve());
  });
  peer.port = (server.address() as AddressInfo).port;
  return peer;
}
