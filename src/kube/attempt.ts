/**
 * One HTTP request to the API server over kept-alive connections, as far as the head of its answer.
 */
import http from "node:http";
import https from "node:https";
import type { Credentials } from "./credentials.ts";

/**
 * `stale`: a kept-alive connection that the server had closed meanwhile, so nothing was done; the
 * error says how that was seen.
 */
export type Attempt =
  | { is: "answered"; status: number; response: http.IncomingMessage }
  | { is: "stale"; error: Error };

export interface Sent {
  method: string;
  path: string;
  headers: http.OutgoingHttpHeaders;
  payload: Buffer | undefined;
  agent: http.Agent;
  signal: AbortSignal;
}

/** Connections to one API server: `most` at once. */
export function agentFor({ server, tls }: Credentials, most: number): http.Agent {
  const kept = { keepAlive: true, keepAliveMsecs: 30_000, maxSockets: most, scheduling: "lifo" as const };
  if (server.protocol === "http:") return new http.Agent(kept);
  const { insecure, ...identity } = tls;
  return new https.Agent({ ...kept, ...identity, rejectUnauthorized: !insecure });
}

/**
 * Throws what the network says, ETIMEDOUT where no connection is made in `connectMs`. The body of
 * the answer is still to be read.
 */
export async function attempt({ server }: Credentials, sent: Sent, connectMs: number): Promise<Attempt> {
  const { payload, ...call } = sent;
  const host = server.hostname.replace(/^\[|\]$/g, "");
  return new Promise((resolve, reject) => {
    const { request: open } = server.protocol === "http:" ? http : https;
    const request = open({ ...call, host, port: server.port }, (response) =>
      resolve({ is: "answered", status: response.statusCode ?? 0, response }),
    );
    request.on("socket", (socket) => {
      if (!socket.connecting) return;
      const late = () => request.destroy(new ConnectTimeout(`no connection to ${server.host} in ${connectMs} ms`));
      const timer = setTimeout(late, connectMs);
      const settled = () => clearTimeout(timer);
      socket.once("connect", settled).once("close", settled);
    });
    request.on("error", (error) => (request.reusedSocket ? resolve({ is: "stale", error }) : reject(error)));
    request.end(payload);
  });
}

class ConnectTimeout extends Error {
  readonly code = "ETIMEDOUT";
}
