/** When backups of a server are made. Pure. */
import { Cron } from "croner";
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import { expiryTime } from "./expiry-time.ts";

/** After the clean-up, so that what it deletes is not saved. */
const hoursAfterExpiry = 5;

const hoursAfterBackup = 6;

/** In the form of cron, UTC. */
export function drillSchedule(server: ChatmailServer): string {
  const { drill } = server.spec.backup;
  if (drill?.schedule !== undefined) return drill.schedule;
  const { hour, minute } = expiryTime(server);
  return `${minute} ${hour + hoursAfterExpiry + hoursAfterBackup} * * SUN`;
}

/** In the form of cron, UTC. */
export function backupSchedule(server: ChatmailServer): string {
  const { schedule } = server.spec.backup;
  if (schedule !== undefined) return schedule;
  const { hour, minute } = expiryTime(server);
  return `${minute} ${hour + hoursAfterExpiry} * * *`;
}

const dayMs = 86_400_000;

/**
 * When one is late: a day after the first run since then was due, or when the next one is due,
 * whichever comes first. Undefined where the schedule has no run, such as on 30 February.
 */
export function backupLateAt(schedule: string, since: Date): Date | undefined {
  const runs = runsOf(schedule);
  const due = runs?.nextRun(since);
  if (!due) return undefined;
  const next = runs?.nextRun(due)?.getTime() ?? Number.POSITIVE_INFINITY;
  return new Date(Math.min(due.getTime() + dayMs, next));
}

/** What no cron takes is refused by the API server as it makes the CronJob. */
function runsOf(schedule: string): Cron | undefined {
  try {
    return new Cron(schedule, { utcOffset: 0, paused: true, mode: "5-part", sloppyRanges: true });
  } catch {
    return undefined;
  }
}
