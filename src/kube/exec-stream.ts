/** A command in a container that is written to while its output is read. */
import { PassThrough } from "node:stream";
import type { WebSocket } from "ws";
import type { Credentials } from "./credentials.ts";
import { execIn, type Ran } from "./exec.ts";

export interface Running {
  /**
   * Resolves when the network has taken it. The command has to see in what is written where it
   * ends: not every API server can say that the input has ended.
   */
  write: (bytes: Uint8Array) => Promise<void>;
  /** Ends with the command; throws what broke the connection. */
  output: AsyncIterable<Buffer>;
  /** As with `execIn`, without the output. */
  ended: Promise<Ran>;
  /** Breaks the connection off. */
  stop: () => void;
}

/** First octet of what is written. */
const stdin = Buffer.from([0]);
const mostBytes = 32 * 1024;

/**
 * `paced`: the command is not read faster than its output is taken. Not for one that has to read
 * what is written before its own output is taken.
 */
export function streamIn(
  credentials: Credentials,
  at: { namespace: string; pod: string; container: string },
  command: readonly string[],
  { signal, paced = false }: { signal: AbortSignal; paced?: boolean },
): Running {
  const output = new PassThrough();
  // whoever reads the output is told; nobody has to
  output.on("error", () => undefined);
  const opened = Promise.withResolvers<WebSocket>();
  opened.promise.catch(() => undefined);
  let socket: WebSocket | undefined;
  const taps = {
    opened: (connection: WebSocket) => {
      socket = connection;
      opened.resolve(connection);
    },
    output: (chunk: Buffer) => {
      if (!output.write(chunk) && paced) socket?.pause();
    },
  };
  output.on("drain", () => socket?.resume());
  const stopping = new AbortController();
  const ended = execIn(credentials, at, command, AbortSignal.any([signal, stopping.signal]), taps);
  ended.then(
    () => output.end(),
    (error: Error) => {
      opened.reject(error);
      output.destroy(error);
    },
  );
  return {
    write: async (bytes) => {
      const socket = await opened.promise;
      for (let at = 0; at < bytes.length; at += mostBytes)
        await sent(socket, Buffer.concat([stdin, bytes.subarray(at, at + mostBytes)]));
    },
    output,
    ended,
    stop: () => stopping.abort(new Error("stopped")),
  };
}

const sent = (socket: WebSocket, message: Buffer): Promise<void> =>
  new Promise((resolve, reject) => {
    socket.send(message, (error) => (error ? reject(error) : resolve()));
  });
