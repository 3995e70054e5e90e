/** Whether somebody takes connections at a port; a packet that is lost is sent again after a second only. */
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
