/** Servers on unix sockets: a stale socket file is removed, the new one is open to every container of the pod, and closing lets running answers finish. */
import { chmodSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";

export interface Door {
  readonly path: string;
  listening(): boolean;
  /** Takes no new connection; ends each open one when `idle` says that it owes no answer, and every one after `graceMs`. */
  close: (graceMs: number) => Promise<void>;
}

/** A connection as a protocol sees it. `owing` is true while the peer waits for an answer. */
export interface Conversation {
  owing(): boolean;
}

export async function openDoor(path: string, converse: (socket: Socket) => Conversation): Promise<Door> {
  const open = new Map<Socket, Conversation>();
  const server = createServer((socket) => {
    open.set(socket, converse(socket));
    socket.once("close", () => open.delete(socket));
    socket.on("error", () => socket.destroy());
  });
  await listenOn(server, path);
  return {
    path,
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
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ path, backlog: 1024 }, () => {
      server.off("error", reject);
      resolve();
    });
  });
  chmodSync(path, 0o666);
}

/** Stops listening and calls `drop` again and again until nobody is left; the last call, after `graceMs`, is to drop everyone. */
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
