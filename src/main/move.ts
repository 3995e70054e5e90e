/**
 * `move first|rest`: copies the volume to another one, for a relay that runs or that is stopped.
 * Prints lines of JSON with how far it is; leaves why it failed as termination message.
 */
import { access, statfs } from "node:fs/promises";
import { join } from "node:path";
import { pino } from "pino";
import { diskRoom } from "../lib/disk-room.ts";
import { sizeText } from "../lib/size-text.ts";
import { leaveMessage } from "../lib/termination-message.ts";
import { codeOf, messageOf } from "../lib/text.ts";
import { moveHasNoHope } from "../pod/containers.ts";
import { folders } from "../pod/layout.ts";
import { copyVolume } from "../relay/move/copy.ts";

const everyMs = 2_000;

const log = pino({ base: null });
const [pass = ""] = process.argv.slice(2);
try {
  if (pass !== "first" && pass !== "rest") throw new Error("the first word is first or rest");
  // a disk that is not mounted looks like an empty volume
  await access(join(folders.moveFrom, "mail"));
  const used = diskRoom(await statfs(folders.moveFrom));
  const volumeBytes = used.bytes - used.freeBytes;
  let toldAtMs = Date.now();
  const copied = await copyVolume({
    from: folders.moveFrom,
    to: folders.moveTo,
    isLive: pass === "first",
    progress: (sofar) => {
      if (Date.now() - toldAtMs < everyMs) return;
      toldAtMs = Date.now();
      log.info({ ...sofar, volumeBytes }, "copying");
    },
  });
  log.info({ ...copied, volumeBytes }, "copied");
  leaveMessage(copied);
} catch (thrown) {
  const isFull = codeOf(thrown) === "ENOSPC" || codeOf(thrown) === "EDQUOT";
  const problem = isFull ? await fullText() : withoutPaths(messageOf(thrown));
  log.error({ problem }, "not copied");
  leaveMessage({ problem });
  process.exitCode = isFull ? moveHasNoHope : 1;
}

async function fullText(): Promise<string> {
  const [from, to] = [diskRoom(await statfs(folders.moveFrom)), diskRoom(await statfs(folders.moveTo))];
  return `the volume is too small: it has ${sizeText(to.bytes)}, and ${sizeText(from.bytes - from.freeBytes)} are used on the one that is copied`;
}

/** Names of folders are addresses. */
function withoutPaths(text: string): string {
  return text.replace(/ '[^']*'/g, "").replace(/ -> /g, " ");
}
