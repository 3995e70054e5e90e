/**
 * The relay's state in figures, for `/status` and for the metrics. Read when somebody asks; what
 * can't be read is missing.
 */
import { readFile, statfs } from "node:fs/promises";
import { diskRoom } from "../../lib/disk-room.ts";
import type { Labels } from "../../lib/metrics.ts";
import type { RelayConfig } from "../../pod/relay-config.ts";
import type { Metrics } from "../metrics.ts";
import { type AccountCounts, CountedAccounts } from "./account-counts.ts";
import type { ClientAddresses } from "./clients.ts";
import { boundPorts, type ClientFigures, type QueueFigures, type SessionFigures } from "./policy.ts";
import type { ProgramReports } from "./reports.ts";

export interface StorageFigures {
  bytes: number;
  freeBytes: number;
  /** 0 where the file system has no fixed number of them. */
  inodes: number;
  freeInodes: number;
}

export interface Figures {
  storage?: StorageFigures;
  queue?: QueueFigures;
  sessions?: SessionFigures;
  /** By mail domain. */
  accounts?: Record<string, AccountCounts>;
  clients: { ipv4: ClientFigures; ipv6: ClientFigures };
  /** Ports for calls: how many there are, and how many are in use. */
  turn?: { ports: number; used: number };
}

export interface FigureTools {
  settings: Pick<RelayConfig, "domains" | "mailFolder" | "turnPorts">;
  reports: Pick<ProgramReports, "queue" | "sessions">;
  clients: Pick<ClientAddresses, "figures">;
  now: () => number;
  /** By default the kernel's own, of the pod's network. */
  udpTables?: readonly string[];
}

const udpTables = ["/proc/net/udp", "/proc/net/udp6"];

export class RelayFigures {
  readonly #tools: FigureTools;
  readonly #accounts: CountedAccounts;
  #last: Figures | undefined;

  constructor(tools: FigureTools) {
    this.#tools = tools;
    this.#accounts = new CountedAccounts({
      folder: () => tools.settings.mailFolder,
      domains: () => Object.keys(tools.settings.domains),
      now: tools.now,
    });
  }

  async read(): Promise<Figures> {
    const { reports, clients, settings } = this.#tools;
    const [storage, queue, sessions, accounts, turn] = await Promise.all([
      storageOf(settings.mailFolder),
      reports.queue(),
      reports.sessions(),
      this.#accounts.counts().catch(() => undefined),
      this.#turn(),
    ]);
    this.#last = {
      clients: clients.figures(),
      ...(storage && { storage }),
      ...(queue && { queue }),
      ...(sessions && { sessions }),
      ...(accounts && { accounts }),
      ...(turn && { turn }),
    };
    return this.#last;
  }

  /** Gauges of what was last read. */
  addTo(metrics: Metrics): void {
    const of = (read: (figures: Figures) => { labels: Labels; value: number }[] | undefined) => () =>
      (this.#last && read(this.#last)) ?? [];
    const one = (read: (figures: Figures) => number | undefined) =>
      of((figures) => {
        const value = read(figures);
        return value === undefined ? [] : [{ labels: {}, value }];
      });
    const each = (name: string, values: Readonly<Record<string, number>> | undefined) =>
      Object.entries(values ?? {}).map(([word, value]) => ({ labels: { [name]: word }, value }));
    metrics.gauge(
      "chatmail_volume_size_bytes",
      one(({ storage }) => storage?.bytes),
    );
    metrics.gauge(
      "chatmail_volume_available_bytes",
      one(({ storage }) => storage?.freeBytes),
    );
    metrics.gauge(
      "chatmail_volume_inodes",
      one(({ storage }) => storage?.inodes),
    );
    metrics.gauge(
      "chatmail_volume_available_inodes",
      one(({ storage }) => storage?.freeInodes),
    );
    metrics.gauge(
      "chatmail_queue_messages",
      of(({ queue }) => each("state", queue?.states)),
    );
    metrics.gauge(
      "chatmail_queue_oldest_message_seconds",
      one(({ queue }) => queue?.oldestSeconds),
    );
    metrics.gauge(
      "chatmail_queue_oldest_moving_message_seconds",
      one(({ queue }) => queue?.oldestMovingSeconds),
    );
    metrics.gauge(
      "chatmail_queue_late_destinations",
      one(({ queue }) => queue?.lateDestinations),
    );
    metrics.gauge(
      "chatmail_imap_sessions",
      of(({ sessions }) => each("state", sessions && { ...sessions })),
    );
    metrics.gauge(
      "chatmail_accounts",
      of(({ accounts }) => accountEntries(accounts)),
    );
    metrics.gauge(
      "chatmail_client_accounts",
      of(({ clients: { ipv4, ipv6 } }) => each("family", { ipv4: ipv4.accounts, ipv6: ipv6.accounts })),
    );
    metrics.gauge(
      "chatmail_client_accounts_of_one_address",
      of(({ clients: { ipv4, ipv6 } }) => each("family", { ipv4: ipv4.fromOneAddress, ipv6: ipv6.fromOneAddress })),
    );
    metrics.gauge(
      "chatmail_turn_relay_ports",
      one(({ turn }) => turn?.ports),
    );
    metrics.gauge(
      "chatmail_turn_relay_ports_used",
      one(({ turn }) => turn?.used),
    );
  }

  async #turn(): Promise<Figures["turn"]> {
    const { settings, udpTables: tables = udpTables } = this.#tools;
    const { turnPorts } = settings;
    if (!turnPorts) return undefined;
    const texts = await Promise.all(tables.map((path) => readFile(path, "utf8").catch(() => "")));
    return { ports: turnPorts.count, used: boundPorts(texts, turnPorts) };
  }
}

/** A domain is named only where there are several, as in all metrics. */
function accountEntries(accounts: Figures["accounts"] = {}): { labels: Labels; value: number }[] {
  const domains = Object.entries(accounts);
  return domains.flatMap(([domain, counts]) =>
    Object.entries(counts).map(([kind, value]) => ({
      labels: { ...(domains.length > 1 && { domain }), kind },
      value,
    })),
  );
}

async function storageOf(folder: string): Promise<StorageFigures | undefined> {
  const disk = await statfs(folder).catch(() => undefined);
  return (
    disk && {
      ...diskRoom(disk),
      inodes: disk.files,
      freeInodes: disk.ffree,
    }
  );
}
