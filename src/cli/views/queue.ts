/** Mail that waits, by destination. Pure. */
import { ageText } from "../text/duration.ts";
import { harmless, type Paint } from "../text/paint.ts";
import { table } from "../text/table.ts";

/** A line of `postqueue -j`. */
interface QueuedMail {
  queue_name: string;
  queue_id: string;
  arrival_time: number;
  message_size: number;
  recipients?: { address: string; delay_reason?: string }[];
}

export interface Destination {
  domain: string;
  /** Messages with a recipient there. */
  messages: number;
  bytes: number;
  /** When the oldest of them came. */
  oldest: string;
  /** Why the last attempt failed; "" where there was none. Without addresses. */
  reason: string;
  ids: string[];
}

export function queuedMail(jsonLines: string): QueuedMail[] {
  const lines = jsonLines.split("\n").filter((line) => line.trim() !== "");
  return lines.map((line) => JSON.parse(line) as QueuedMail);
}

/** Domains alone: whose mail it is concerns nobody who looks after the relay. The longest first. */
export function destinationsOf(mail: readonly QueuedMail[]): Destination[] {
  const byDomain = new Map<string, { mail: QueuedMail; reason: string }[]>();
  for (const each of mail) {
    const seen = new Set<string>();
    for (const { address, delay_reason: reason = "" } of each.recipients ?? []) {
      const domain = address.slice(address.lastIndexOf("@") + 1).toLowerCase();
      if (seen.has(domain)) continue;
      seen.add(domain);
      byDomain.set(domain, [...(byDomain.get(domain) ?? []), { mail: each, reason: withoutAddresses(reason) }]);
    }
  }
  const destinations = [...byDomain].map(([domain, of]) => ({
    domain,
    messages: of.length,
    bytes: of.reduce((sum, each) => sum + each.mail.message_size, 0),
    oldest: new Date(Math.min(...of.map((each) => each.mail.arrival_time)) * 1_000).toISOString(),
    reason: of.find(({ reason }) => reason !== "")?.reason ?? "",
    ids: of.map((each) => each.mail.queue_id),
  }));
  return destinations.sort((one, other) => other.messages - one.messages || (one.domain < other.domain ? -1 : 1));
}

const withoutAddresses = (text: string): string => text.replaceAll(/[^\s<>"'(),;:=]+@(?=[^\s<>"'(),;:=])/g, "…@");

export function queueTable(destinations: readonly Destination[], { paint, now }: { paint: Paint; now: Date }): string {
  if (destinations.length === 0) return "the queue is empty\n";
  const rows = destinations.map(({ domain, messages, bytes, oldest, reason }) => {
    const age = ageText(oldest, now);
    const isOld = now.getTime() - Date.parse(oldest) > oldMs;
    return [
      harmless(domain),
      String(messages),
      sizeText(bytes),
      isOld ? paint("doubtful", age) : age,
      harmless(reason),
    ];
  });
  return table(["DESTINATION", "MESSAGES", "SIZE", "OLDEST", "LAST REASON"], rows);
}

/** A destination that is down for so long is worth a look. */
const oldMs = 3_600_000;

const sizeText = (bytes: number): string =>
  bytes < 10_000
    ? `${bytes} B`
    : bytes < 10_000_000
      ? `${Math.round(bytes / 1_000)} kB`
      : `${Math.round(bytes / 1e6)} MB`;

/** As Postfix names a message; anything else never becomes a word of a command. */
export const isQueueId = (text: string): boolean => /^[0-9A-Za-z]{5,24}$/.test(text);
