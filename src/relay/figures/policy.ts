/**
 * What the relay says of its state in figures: how the reports of Postfix, Dovecot and the kernel
 * are read, and what follows from them. Pure. A domain is in these figures where mail to it waits;
 * an address is in none.
 */

/** Folders of Postfix's queue, as its own programs name them. */
const queueStates = ["maildrop", "incoming", "active", "deferred", "hold"] as const;
export type QueueState = (typeof queueStates)[number];

export interface Destination {
  domain: string;
  messages: number;
}

export interface QueueFigures {
  states: Record<QueueState, number>;
  /** Age of the oldest message; 0 where there is none. */
  oldestSeconds: number;
  /** Of those that Postfix has not tried to deliver yet, or is delivering now. */
  oldestMovingSeconds: number;
  /** Domains that mail has waited for longer than an hour. */
  lateDestinations: number;
  /** Those for which most messages wait, longest list first; addresses are cut at their @. */
  destinations: Destination[];
}

export interface SessionFigures {
  awake: number;
  hibernated: number;
}

/** A report that is older says nothing of now. */
const mostReportAgeSeconds = 180;
const mostDestinations = 5;
/** What a mail domain consists of, an address literal among them. */
const domainLike = /^(?:[\w-]+(?:\.[\w-]+)*|\[[\da-f:.]+\])$/i;

/** Words of each line, by the first of them. */
function linesOf(text: string): Map<string, string[][]> {
  const lines = new Map<string, string[][]>();
  for (const line of text.split("\n")) {
    const [name = "", ...words] = line.split(" ");
    lines.set(name, [...(lines.get(name) ?? []), words]);
  }
  return lines;
}

/** The lines of a report that is whole and of now. */
function fresh(text: string | undefined, nowMs: number): Map<string, string[][]> | undefined {
  const lines = linesOf(text ?? "");
  const at = numberOf(lines.get("time")?.[0]?.[0]);
  return lines.has("end") && Math.abs(nowMs / 1000 - at) <= mostReportAgeSeconds ? lines : undefined;
}

/** 0 for what is no number. */
const numberOf = (word: string | undefined): number => {
  const value = Number(word);
  return Number.isFinite(value) && value >= 0 ? value : 0;
};

/** Undefined where Postfix has not reported lately. */
export function queueFigures(report: string | undefined, nowMs: number): QueueFigures | undefined {
  const lines = fresh(report, nowMs);
  if (!lines) return undefined;
  const rows = (name: string) => lines.get(name) ?? [];
  const of = (name: string, state: string) => numberOf(rows(name).find(([first]) => first === state)?.[1]);
  const age = (state: QueueState) => {
    const since = of("oldest", state);
    return since > 0 ? Math.max(0, Math.floor(nowMs / 1000 - since)) : 0;
  };
  const destinations = rows("destination")
    .flatMap(([domain = "", messages]) =>
      domainLike.test(domain) ? [{ domain: domain.toLowerCase(), messages: numberOf(messages) }] : [],
    )
    .sort((a, b) => b.messages - a.messages);
  return {
    states: Object.fromEntries(queueStates.map((state) => [state, of("state", state)])) as Record<QueueState, number>,
    oldestSeconds: Math.max(...queueStates.map(age)),
    oldestMovingSeconds: Math.max(age("maildrop"), age("incoming"), age("active")),
    lateDestinations: numberOf(rows("late")[0]?.[0]),
    destinations: destinations.slice(0, mostDestinations),
  };
}

/** Undefined where Dovecot has not reported lately. */
export function sessionFigures(report: string | undefined, nowMs: number): SessionFigures | undefined {
  const lines = fresh(report, nowMs);
  if (!lines) return undefined;
  const of = (name: string) => numberOf(lines.get(name)?.[0]?.[0]);
  return { awake: of("awake"), hibernated: of("hibernated") };
}

/** Ports of a range that sockets are bound to, in the kernel's tables (`/proc/net/udp`). */
export function boundPorts(tables: readonly string[], { first, count }: { first: number; count: number }): number {
  const ports = new Set<number>();
  for (const table of tables)
    for (const [, hex = ""] of table.matchAll(/^\s*\d+: [\dA-F]+:([\dA-F]{4}) /gm)) {
      const port = Number.parseInt(hex, 16);
      if (port >= first && port < first + count) ports.add(port);
    }
  return ports.size;
}

/** Where logins come from, for one family of addresses. */
export interface ClientFigures {
  /** Accounts that have logged in. */
  accounts: number;
  /** How many of them from the one address that most come from. */
  fromOneAddress: number;
}

/** `clients`: of each account the client it last came from, as clientKey says it. */
export function clientFigures(clients: Iterable<string>): { ipv4: ClientFigures; ipv6: ClientFigures } {
  const counts = { ipv4: new Map<string, number>(), ipv6: new Map<string, number>() };
  for (const client of clients) {
    const family = counts[client.includes(":") ? "ipv6" : "ipv4"];
    family.set(client, (family.get(client) ?? 0) + 1);
  }
  const figures = (family: Map<string, number>): ClientFigures => {
    const all = [...family.values()];
    return { accounts: all.reduce((sum, each) => sum + each, 0), fromOneAddress: Math.max(0, ...all) };
  };
  return { ipv4: figures(counts.ipv4), ipv6: figures(counts.ipv6) };
}
