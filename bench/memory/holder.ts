/**
 * A process that holds clients which do what Delta Chat core does, each in IDLE. Told by messages;
 * ends with its parent. What it needs itself is not the pod's memory.
 */
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

/** Until it is served: a core tries again, too, if not at once. Gives how long it took. */
async function come({ user, password }: Login, onFailure: (why: string) => void): Promise<number> {
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
      onFailure(thrown instanceof Error ? thrown.message : String(thrown));
      if (performance.now() - began > patienceMs) throw thrown;
    }
  }
}

async function work(call: HolderCall): Promise<HolderReply> {
  if (call.work === "leave") {
    for (const client of clients.splice(0)) client.destroy();
    return { served: [], failed: {} };
  }
  const served: number[] = [];
  const failed: Record<string, number> = {};
  const onFailure = (why: string) => {
    failed[why] = (failed[why] ?? 0) + 1;
  };
  await inTurns(call.logins, call.atOnce, async (login) => {
    served.push(await come(login, onFailure));
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
