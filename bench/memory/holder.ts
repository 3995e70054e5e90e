/**
 * A process that holds clients which do what Delta Chat core does, each in IDLE. Told by messages;
 * ends with its parent. What it needs itself is not the pod's memory.
 */
import { messageOf } from "../../src/lib/text.ts";
import { ports } from "../../src/mail/ports.ts";
import { ImapClient } from "../../test/helpers/imap-client.ts";
import { randomName } from "../../test/helpers/messages.ts";
import { inTurns } from "../mail/load.ts";
import type { Login } from "../mail/sender.ts";
import type { HolderCall, HolderReply } from "./holders.ts";

const [, , host = "", ...addresses] = process.argv;
const patienceMs = 300_000;
const clients: ImapClient[] = [];
let next = 0;

/**
 * Until it is served: a core tries again, too, if not at once. Gives how long it took; why attempts
 * failed is added.
 */
async function come({ user, password }: Login, failed: string[]): Promise<number> {
  const began = performance.now();
  const localAddress = addresses[next++ % addresses.length] ?? "";
  const address = { host, port: ports.imaps, localAddress };
  for (;;) {
    try {
      const client = await ImapClient.likeDeltaChat(address, user, password, randomName(64));
      await client.idle();
      clients.push(client);
      return performance.now() - began;
    } catch (thrown) {
      failed.push(messageOf(thrown));
      if (performance.now() - began > patienceMs) throw thrown;
    }
  }
}

async function work(call: HolderCall): Promise<HolderReply> {
  if (call.work === "leave") {
    for (const client of clients.splice(0)) client.destroy();
    return { served: [], failed: [] };
  }
  const served: number[] = [];
  const failed: string[] = [];
  await inTurns(call.logins, call.atOnce, async (login) => {
    served.push(await come(login, failed));
  });
  return { served, failed };
}

process.on("message", (call: HolderCall) => {
  work(call).then(
    (reply) => process.send?.(reply),
    (thrown: unknown) => process.send?.({ error: String(thrown) }),
  );
});
process.on("disconnect", () => process.exit());
// the parent ends it
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => undefined);
