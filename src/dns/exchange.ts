/** One question to one name server, by UDP or TCP. */
import { createSocket } from "node:dgram";
import { connect, isIPv6 } from "node:net";

export interface NameServer {
  host: string;
  port: number;
}

export interface Exchange<T> {
  query: Buffer;
  /** Undefined where a packet is not the answer; throws where it is and can't be read. */
  read: (bytes: Buffer) => T | undefined;
  timeoutMs: number;
}

/**
 * A new socket for each question has a port that can't be guessed; being connected, it takes
 * packets from this server only.
 */
export function askByUdp<T>({ host, port }: NameServer, { query, read, timeoutMs }: Exchange<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIPv6(host) ? "udp6" : "udp4");
    let ended = false;
    const end = (settle: () => void) => {
      if (ended) return;
      ended = true;
      clearTimeout(timer);
      socket.close();
      settle();
    };
    const timer = setTimeout(() => end(() => reject(new Error("no answer"))), timeoutMs);
    socket.on("error", (error) => end(() => reject(error)));
    socket.on("message", (bytes) => {
      try {
        const response = read(bytes);
        if (response !== undefined) end(() => resolve(response));
      } catch (thrown) {
        end(() => reject(thrown));
      }
    });
    socket.connect(port, host, (error?: Error) => (error ? end(() => reject(error)) : socket.send(query)));
  });
}

export function askByTcp<T>({ host, port }: NameServer, { query, read, timeoutMs }: Exchange<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, host);
    const end = (settle: () => void) => {
      clearTimeout(timer);
      socket.destroy();
      settle();
    };
    const timer = setTimeout(() => end(() => reject(new Error("no answer by TCP"))), timeoutMs);
    let got = Buffer.alloc(0);
    socket.on("error", (error) => end(() => reject(error)));
    socket.on("close", () => end(() => reject(new Error("TCP connection ended early"))));
    socket.on("data", (chunk) => {
      got = Buffer.concat([got, chunk]);
      const size = got.length < 2 ? Number.POSITIVE_INFINITY : got.readUInt16BE(0);
      if (got.length < 2 + size) return;
      try {
        const response = read(got.subarray(2, 2 + size));
        end(() => (response !== undefined ? resolve(response) : reject(new Error("answer to another question"))));
      } catch (thrown) {
        end(() => reject(thrown));
      }
    });
    const size = Buffer.alloc(2);
    size.writeUInt16BE(query.length);
    socket.write(Buffer.concat([size, query]));
  });
}

/** As `getServers()` of node:dns gives them, or with a host name. */
export function parseServer(text: string): NameServer {
  const match = /^\[(.+)\]:([0-9]+)$/.exec(text) ?? /^([^:[\]]+):([0-9]+)$/.exec(text);
  return match
    ? { host: match[1] as string, port: Number(match[2]) }
    : { host: text.replace(/^\[|\]$/g, ""), port: 53 };
}
