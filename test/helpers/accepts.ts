/**
 * Whether somebody takes connections at a port. A lost SYN is repeated after a second: who may lose
 * one asks for less, and more often.
 */
import { connect } from "node:net";

export function accepts(host: string, port: number, withinMs = 1000): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (answer: boolean) => () => {
      socket.destroy();
      resolve(answer);
    };
    socket.once("connect", end(true));
    socket.once("error", end(false));
    socket.setTimeout(withinMs, end(false));
  });
}
