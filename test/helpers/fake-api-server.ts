/**
 * An API server as far as the wire goes: lists, watches, writes and errors over HTTP, told by the
 * test what to do. It stands in for the network and the faults of a real one (resets, 410,
 * silence), which a real one does not produce on request.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type Client, kubeClient } from "../../src/kube/client.ts";
import type { KubeObject } from "../../src/kube/object.ts";

export interface Request {
  method: string;
  path: string;
  query: URLSearchParams;
  headers: IncomingMessage["headers"];
  body: unknown;
}

/** An answer that is sent whole, or a function that holds the connection. */
export type Answer = { status?: number; json: unknown; headers?: Record<string, string> } | ((stream: Stream) => void);

/** An open answer: what a watch is on the wire. */
export interface Stream {
  event(type: string, object: unknown): void;
  raw(text: string): void;
  end(): void;
  reset(): void;
  closed: Promise<void>;
}

export interface FakeApiServer {
  client: Client;
  url: URL;
  requests: Request[];
  /** TCP connections that were made so far. */
  connections(): number;
  close: () => Promise<void>;
}

export async function fakeApiServer(answer: (request: Request) => Answer): Promise<FakeApiServer> {
  const requests: Request[] = [];
  let connections = 0;
  const server: Server = createServer(async (incoming, response) => {
    const url = new URL(incoming.url ?? "/", "http://fake");
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    const request: Request = {
      method: incoming.method ?? "",
      path: url.pathname,
      query: url.searchParams,
      headers: incoming.headers,
      body: text === "" ? undefined : JSON.parse(text),
    };
    requests.push(request);
    const reply = answer(request);
    if (typeof reply === "function") return reply(streamOf(response));
    response.writeHead(reply.status ?? 200, { "content-type": "application/json", ...reply.headers });
    response.end(JSON.stringify(reply.json));
  });
  server.on("connection", () => {
    connections++;
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const credentials = {
    server: url,
    tls: {},
    namespace: undefined,
    headers: async () => ({ authorization: "Bearer t" }),
  };
  const client = kubeClient(credentials, { userAgent: "test" });
  return {
    client,
    url,
    requests,
    connections: () => connections,
    close: async () => {
      client.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function streamOf(response: ServerResponse): Stream {
  response.writeHead(200, { "content-type": "application/json" });
  response.flushHeaders();
  return {
    event: (type, object) => response.write(`${JSON.stringify({ type, object })}\n`),
    raw: (text) => response.write(text),
    end: () => response.end(),
    reset: () => response.socket?.resetAndDestroy(),
    closed: new Promise((resolve) => response.on("close", () => resolve())),
  };
}

/** A Status object, as the API server says no. */
export function statusAnswer(
  code: number,
  reason: string,
  message: string,
  headers: Record<string, string> = {},
): Answer {
  return {
    status: code,
    headers,
    json: { kind: "Status", apiVersion: "v1", status: "Failure", code, reason, message },
  };
}

export function aPod(name: string, resourceVersion: string, uid = `uid-${name}`): KubeObject {
  return { apiVersion: "v1", kind: "Pod", metadata: { name, namespace: "a", uid, resourceVersion } };
}

export function listAnswer(items: readonly KubeObject[], resourceVersion: string, next?: string): Answer {
  return { json: { kind: "PodList", apiVersion: "v1", metadata: { resourceVersion, continue: next ?? "" }, items } };
}

/** A logger that keeps what was said. */
export function keptLog() {
  const lines: { level: string; message: string; fields: object }[] = [];
  const at = (level: string) => (fields: object, message: string) => void lines.push({ level, message, fields });
  return { lines, debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}
