/**
 * Takes accounts and mail of another relay from standard input, as `kubectl chatmail import` sends
 * them in the relay container (relay/import/frames.ts).
 */
import { once } from "node:events";
import { statfs } from "node:fs/promises";
import { diskRoom } from "../lib/disk-room.ts";
import { messageOf } from "../lib/text.ts";
import { readStart } from "../relay/config.ts";
import { receiveImport } from "../relay/import/receiver.ts";

try {
  const { settings: config } = await readStart(process.env);
  await receiveImport({
    config,
    requests: process.stdin,
    write: async (bytes) => {
      if (!process.stdout.write(bytes)) await once(process.stdout, "drain");
    },
    freeBytes: async (folder) => diskRoom(await statfs(folder)).freeBytes,
    now: Date.now,
  });
} catch (thrown) {
  console.error(messageOf(thrown));
  process.exitCode = 1;
}
// whoever sends may leave the input open
process.stdin.destroy();
