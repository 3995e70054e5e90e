/**
 * When a mail or an account is deleted (chatmail protocol §15). Pure; all times in milliseconds
 * since 1970, so no time zone comes in.
 */
import type { DomainLimits } from "../../pod/relay-config.ts";

const dayMs = 86_400_000;
/** Above this a message is large. */
const largeBytes = 200_000;
/** A mailbox is trimmed to this part of its quota: clients warn at 80 %. */
const trimTo = 0.7;
/** What is younger is not trimmed. */
const trimSpareMs = dayMs;

/** Older than so many days, to the millisecond: what is just as old stays. */
export function isOlder(timeMs: number, days: number, nowMs: number): boolean {
  return timeMs < nowMs - days * dayMs;
}

export interface Message {
  name: string;
  folder: "cur" | "new" | "tmp";
  mtimeMs: number;
  /** Uncompressed where the name tells, else on disk. */
  bytes: number;
}

export function isExpired(message: Message, limits: DomainLimits, nowMs: number): boolean {
  if (isOlder(message.mtimeMs, limits.deleteAfterDays, nowMs)) return true;
  // unseen ones, in new, are left for whoever comes back
  return (
    message.folder === "cur" &&
    message.bytes > largeBytes &&
    isOlder(message.mtimeMs, limits.deleteLargeAfterDays, nowMs)
  );
}

export interface MaildirName {
  deliveredMs: number;
  /** Uncompressed. */
  bytes: number;
}

/** `<unixtime>.<…>,S=<size>…`, Dovecot's names; undefined for others. */
export function parseMaildirName(name: string): MaildirName | undefined {
  const match = /^([0-9]{1,12})\.[^/]*?,S=([0-9]{1,15})(?:[,:]|$)/.exec(name);
  return match ? { deliveredMs: Number(match[1]) * 1000, bytes: Number(match[2]) } : undefined;
}

export function trimTargetBytes(limits: Pick<DomainLimits, "quotaBytes">): number {
  return Math.floor(limits.quotaBytes * trimTo);
}

/**
 * Which messages of an INBOX go, oldest first, until the rest fits; none that is younger than a
 * day. `names` may hold folders before them.
 */
export function namesToTrim<T extends { name: string }>(
  messages: readonly T[],
  targetBytes: number,
  nowMs: number,
): T[] {
  const known = messages.flatMap((message) => {
    const parsed = parseMaildirName(message.name);
    return parsed ? [{ message, ...parsed }] : [];
  });
  let total = known.reduce((sum, each) => sum + each.bytes, 0);
  if (total <= targetBytes) return [];
  known.sort((a, b) => a.deliveredMs - b.deliveredMs);
  const gone: T[] = [];
  for (const each of known) {
    if (total <= targetBytes || each.deliveredMs > nowMs - trimSpareMs) break;
    gone.push(each.message);
    total -= each.bytes;
  }
  return gone;
}
