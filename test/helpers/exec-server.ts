/** The exec of an API server, on the wire: what is written to it goes to a program, and back. */
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { request } from "node:https";
import type { AddressInfo } from "node:net";
import { PassThrough } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { messageOf } from "../../src/lib/text.ts";
import type { ApiServer } from "./api-server.ts";

export interface Exec {
  command: string[];
  /** Ends when the connection does. */
  input: PassThrough;
  write: (bytes: Uint8Array) => Promise<void>;
  /** Breaks the connection off. */
  cut: () => void;
}

/** How a command has ended. */
export interface Ended {
  code: number;
  stderr?: string;
}

/** Answers each exec; all other requests are the server's own. */
export function answerExec(server: Server, run: (exec: Exec) => Promise<Ended>): void {
  const sockets = new WebSocketServer({ noServer: true, handleProtocols: (offered) => [...offered][0] ?? false });
  server.on("upgrade", (request, socket, head) => {
    sockets.handleUpgrade(request, socket, head, (connection) => {
      const url = new URL(request.url ?? "/", "http://it");
      serve(connection, url.searchParams.getAll("command"), run).catch(() => connection.terminate());
    });
  });
}

async function serve(connection: WebSocket, command: string[], run: (exec: Exec) => Promise<Ended>): Promise<void> {
  const input = new PassThrough();
  const send = (channel: number, bytes: Uint8Array) =>
    new Promise<void>((resolve, reject) => {
      connection.send(Buffer.concat([Buffer.from([channel]), bytes]), (error) => (error ? reject(error) : resolve()));
    });
  connection.on("message", (data: Buffer) => {
    if (data[0] === 0) input.write(data.subarray(1));
  });
  connection.on("close", () => input.end());
  const exec = { command, input, write: (bytes: Uint8Array) => send(1, bytes), cut: () => connection.terminate() };
  const { code, stderr = "" } = await run(exec).catch((thrown: unknown) => ({ code: 1, stderr: messageOf(thrown) }));
  await send(2, Buffer.from(stderr));
  const causes = [{ reason: "ExitCode", message: String(code) }];
  const status =
    code === 0 ? { status: "Success" } : { status: "Failure", reason: "NonZeroExitCode", details: { causes } };
  await send(3, Buffer.from(JSON.stringify(status)));
  connection.close();
}

/**
 * An API server whose exec is played: all else is passed on to the real one. For a kubeconfig that
 * has no certificate to check.
 */
export async function execProxy(
  { url, tls, token }: Pick<ApiServer, "url" | "tls" | "token">,
  run: (exec: Exec) => Promise<Ended>,
): Promise<{ url: string; close(): void }> {
  const server = createServer((incoming, response) => {
    const headers = { ...incoming.headers, authorization: `Bearer ${token}`, host: url.host };
    const options = { method: incoming.method, headers, ca: tls.cert };
    const outgoing = request(new URL(incoming.url ?? "/", url), options, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    outgoing.on("error", () => response.destroy());
    incoming.pipe(outgoing);
  });
  answerExec(server, run);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
