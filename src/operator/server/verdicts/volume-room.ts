/** Whether the volume has room, as the relay reports it. */
import type { ChatmailServer } from "../../../api/chatmail-server.ts";
import { sizeText } from "../../../lib/size-text.ts";
import type { Problem } from "../../problem.ts";
import { freeShares, storageLevel } from "../../tasks/relay-figures.ts";
import type { Seen } from "../seen.ts";
import { problemByLevel, reportOf } from "./hysteresis.ts";

export function volumeIsNearlyFull(server: ChatmailServer, seen: Pick<Seen, "relay">): Problem | undefined {
  const report = reportOf(seen);
  const { bytes = 0, freeBytes = 0, inodes = 0, freeInodes = 0 } = report?.storage ?? {};
  const isOutOfInodes = inodes > 0 && freeInodes / inodes < Math.min(freeShares.alarm, freeBytes / bytes);
  const left = isOutOfInodes ? `${freeInodes} of ${inodes} inodes` : `${sizeText(freeBytes)} of ${sizeText(bytes)}`;
  return problemByLevel(server, {
    type: "StorageReady",
    level: report && storageLevel(report),
    problem: {
      reason: "VolumeNearlyFull",
      message: `the volume is nearly full: ${left} were free when this was found. Below a tenth no mail is accepted; set storage.size to a larger size, or keep less (messages.deleteAfterDays)`,
    },
  });
}
