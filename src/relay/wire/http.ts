/**
 * The little of HTTP that the daemon's services need: small bodies in, small texts out, no question
 * left open.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";

export interface Question {
  method: string;
  /** Without scheme, host and query. */
  path: string;
  /** Behind the question mark, undecoded. */
  query: string;
  /** As nginx has chosen it from those the browser names. */
  language: string | undefined;
  host: string | undefined;
  /** Address of the client that Dovecot asks for, where it has one. */
  client: string | undefined;
  body: string;
}

export interface Answer {
  status: number;
  body: string;
  headers?: Record<string, string>;
}

export interface HttpOptions {
  maxBodyBytes: number;
  answer(question: Question): Promise<Answer>;
  onFailure: (thrown: unknown) => void;
}

/** Not listening yet. A question that fails is answered 503. */
export function httpServer(options: HttpOptions): Server {
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 10_000, keepAliveTimeout: 65_000 });
  server.on("request", (request, response) => {
    respond(request, options)
      .catch((thrown: unknown): Answer => {
        options.onFailure(thrown);
        return { status: 503, body: "temporary failure\n" };
      })
      .then((answer) => send(response, answer))
      .catch(options.onFailure);
  });
  return server;
}

async function respond(request: IncomingMessage, options: HttpOptions): Promise<Answer> {
  const body = await bodyOf(request, options.maxBodyBytes);
  if (body === undefined) return { status: 413, body: "too large\n", headers: { Connection: "close" } };
  return options.answer({
    method: request.method ?? "GET",
    path: pathOf(request.url ?? "/"),
    query: /[?]([^#]*)/.exec(request.url ?? "")?.[1] ?? "",
    language: request.headers["accept-language"],
    // not X-Forwarded-Host: whoever asks could set it
    host: request.headers.host,
    client: request.headers["client-address"]?.toString(),
    body,
  });
}

/** Undefined when it is larger than allowed. */
async function bodyOf(request: IncomingMessage, maxBytes: number): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > maxBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** Of a request target in origin or absolute form ("http://auth.local/passdb"). */
export function pathOf(target: string): string {
  return target.replace(/^https?:\/\/[^/?#]*/i, "").replace(/[?#].*$/s, "") || "/";
}

function send(response: ServerResponse, answer: Answer): void {
  response.writeHead(answer.status, {
    "Content-Type": "text/plain; charset=utf-8",
    "Content-Length": Buffer.byteLength(answer.body),
    ...answer.headers,
  });
  response.end(answer.body);
}
