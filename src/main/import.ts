/**
 * Takes accounts and mail of another relay from standard input, as `kubectl chatmail import` sends
 * them in the relay container (relay/import/frames.ts). In a pod that starts, from a folder:
 *
 *     import bootstrap --domain NAME --from FOLDER
 */
import { once } from "node:events";
import { statfs } from "node:fs/promises";
import { parseArgs } from "node:util";
import { pino } from "pino";
import { bootstrapImport } from "../cli/import/bootstrap.ts";
import { diskRoom } from "../lib/disk-room.ts";
import { leaveMessage } from "../lib/termination-message.ts";
import { messageOf } from "../lib/text.ts";
import { readStart } from "../relay/config.ts";
import { receiveImport } from "../relay/import/receiver.ts";

const text = { type: "string" } as const;
const bootstraps = process.argv[2] === "bootstrap";
try {
  const { settings: config } = await readStart(process.env);
  const freeBytes = async (folder: string) => diskRoom(await statfs(folder)).freeBytes;
  if (bootstraps) {
    const { values } = parseArgs({ args: process.argv.slice(3), options: { domain: text, from: text } });
    const { domain = "", from = "" } = values;
    const report = await bootstrapImport({ config, domain, from, freeBytes, now: Date.now });
    leaveMessage(report);
    pino({ base: null }).info(report, "import bootstrap");
  } else
    await receiveImport({
      config,
      requests: process.stdin,
      write: async (bytes) => {
        if (!process.stdout.write(bytes)) await once(process.stdout, "drain");
      },
      freeBytes,
      now: Date.now,
    });
} catch (thrown) {
  // a path of the disk has one
  const problem = messageOf(thrown).replaceAll(/[^\s/'"]+@[^\s/'"]+/g, "ADDRESS");
  if (bootstraps) leaveMessage({ problem: problem.slice(0, 1_000) });
  console.error(problem);
  process.exitCode = 1;
}
// whoever sends may leave the input open
process.stdin.destroy();
