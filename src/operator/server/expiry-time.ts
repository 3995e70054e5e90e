/** When the daily clean-up of a server runs. Pure. */
import { createHash } from "node:crypto";
import type { ChatmailServer } from "../../api/chatmail-server.ts";

/** From two minutes after midnight, as on other chatmail relays, over four hours. */
const first = 2;
const minutes = 4 * 60;

/**
 * Minutes after midnight UTC. It follows from the uid: a server keeps its time, and the servers of
 * a cluster do not all start a pod and read their volumes in the same minute.
 */
export function expiryTime({ metadata: { uid } }: ChatmailServer): { hour: number; minute: number } {
  const at = first + (createHash("sha256").update(uid).digest().readUInt32BE(0) % minutes);
  return { hour: Math.floor(at / 60), minute: at % 60 };
}
