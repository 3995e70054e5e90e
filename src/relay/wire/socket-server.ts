/**
 * Servers on unix sockets: a stale socket file is removed, the new one is open to every container
 * of the pod, and closing lets running answers finish.
 */
import { chmodSync, rmSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { type Conversation, converse, type Dialogue, type FailureHandlers } from "./conversation.ts";

export interface SocketServer {
  readonly path: string;
  listening(): boolean;
  /**
   * Takes no new connection; ends each open one when `idle` says that it owes no answer, and every
   * one after `graceMs`.
   */
  close: (graceMs: number) => Promise<void>;
}

export interface SocketServerOptions extends FailureHandlers {
  /** A socket file, or a port of the loopback: 0 takes a free one. */
  at: string | number;
  /** A connection on which nothing passes for so long ends. */
  idleMs?: number;
}

export async function openSocketServer<Question>(
  options: SocketServerOptions,
  begin: () => Dialogue<Question>,
): Promise<SocketServer> {
  const open = new Map<Socket, Conversation>();
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.once("close", () => open.delete(socket));
    if (options.idleMs !== undefined) socket.setTimeout(options.idleMs, () => socket.destroy());
    // over TCP an answer would wait for the acknowledgement of the one before it
    socket.setNoDelay(true);
    open.set(socket, converse(socket, begin(), options));
  });
  if (typeof options.at === "string") await listenOn(server, options.at);
  else await listen(server, { host: "127.0.0.1", port: options.at });
  return {
    path: typeof options.at === "string" ? options.at : `127.0.0.1:${portOf(server)}`,
    listening: () => server.listening,
    close: (graceMs) =>
      closeServer(server, graceMs, (last) => {
        for (const [socket, conversation] of open) if (last || !conversation.owing()) socket.destroy();
      }),
  };
}

/** Binds `server` (of node:net or node:http) to a socket file that everyone in the pod may use. */
export async function listenOn(server: Server, path: string): Promise<void> {
  rmSync(path, { force: true });
  await listen(server, { path });
  chmodSync(path, 0o666);
}

function listen(server: Server, where: { path: string } | { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ ...where, backlog: 1024 }, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port;

/**
 * Stops listening and calls `drop` again and again until nobody is left; the last call, after
 * `graceMs`, is to drop everyone.
 */
export function closeServer(server: Server, graceMs: number, drop: (last: boolean) => void): Promise<void> {
  return new Promise((resolve) => {
    const tick = setInterval(() => drop(false), 20);
    const end = setTimeout(() => drop(true), graceMs);
    server.close(() => {
      clearInterval(tick);
      clearTimeout(end);
      resolve();
    });
    drop(graceMs <= 0);
  });
}
