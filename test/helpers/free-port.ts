import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";

/**
 * Below those that the system takes for outgoing connections and where none is named (from 32,768
 * on): nobody is given one of these by chance before the program listens that it is for.
 */
const [first, end] = [20_000, 30_000];

/** A TCP port that nobody listens on now; "::" stands for all addresses. */
export async function freePort(address = "127.0.0.1"): Promise<number> {
  const [port = 0] = await freePorts(1, address);
  return port;
}

/** Different ones. */
export async function freePorts(count: number, address = "127.0.0.1"): Promise<number[]> {
  const found = new Set<number>();
  while (found.size < count) {
    const port = randomInt(first, end);
    if (await isFree(port, address)) found.add(port);
  }
  return [...found];
}

async function isFree(port: number, address: string): Promise<boolean> {
  const server = createServer().listen(port, address);
  try {
    await once(server, "listening");
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "EADDRINUSE") return false;
    throw thrown;
  }
  server.close();
  await once(server, "close");
  return true;
}
