/** A client that holds as many connections as it can, and says little on them. */
import { connect, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import type { Address } from "./line-socket.ts";

export interface HeldConnections {
  /** How many the other side has not ended. */
  open: () => number;
  end: () => void;
}

/** What a client of TLS says first. */
export function clientHello(alpn: readonly string[]): Promise<Buffer> {
  return new Promise((resolve) => {
    const socket = new Duplex({ read: () => undefined, write: (chunk: Buffer) => resolve(chunk) });
    connectTls({ socket, ALPNProtocols: [...alpn] }).on("error", () => undefined);
  });
}

/** Connections that say this much and then nothing; resolves once all are made. */
export async function holdConnections(
  { host, port, preamble = Buffer.alloc(0) }: Address,
  { connections, says = Buffer.alloc(0) }: { connections: number; says?: Buffer },
): Promise<HeldConnections> {
  const sockets: Socket[] = [];
  while (sockets.length < connections) {
    const some = Array.from({ length: Math.min(100, connections - sockets.length) }, () => connect({ host, port }));
    sockets.push(...some);
    await Promise.all(
      some.map(
        (socket) =>
          new Promise<void>((resolve, reject) => {
            socket.on("error", reject);
            socket.once("connect", () => {
              socket.off("error", reject).on("error", () => undefined);
              // what is not read does not tell of the other side's end
              socket.resume();
              socket.write(Buffer.concat([preamble, says]));
              resolve();
            });
          }),
      ),
    );
  }
  return {
    open: () => sockets.filter((socket) => !socket.destroyed && !socket.readableEnded).length,
    end: () => {
      for (const socket of sockets) socket.destroy();
    },
  };
}
