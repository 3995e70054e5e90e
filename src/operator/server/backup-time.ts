/** When backups of a server are made. Pure. */
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
