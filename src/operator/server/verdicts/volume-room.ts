/** Whether the volume has room, as the relay reports it. */
import type { ChatmailServer } from "../../../api/chatmail-server.ts";
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

const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

function sizeText(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  return `${value < 10 && power > 0 ? value.toFixed(1) : Math.round(value)} ${units[power]}`;
}
