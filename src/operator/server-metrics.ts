/**
 * What the status of servers and fleets says, as metrics, read from the stores when somebody asks.
 * Only the replica that leads has them: of two, one would be behind.
 */
import type { ChatmailFleetStatus } from "../api/chatmail-fleet.ts";
import type { ChatmailServerStatus, Condition } from "../api/chatmail-server.ts";
import type { Labels, Metrics } from "../lib/metrics.ts";

interface Of<Status> {
  metadata: { namespace?: string; name: string };
  status?: Status;
}
type Server = Of<ChatmailServerStatus> & { spec?: { domain?: string; fleetRef?: { name: string } | undefined } };
type Fleet = Of<ChatmailFleetStatus>;

interface Sample {
  labels: Labels;
  value: number;
}

export const serverHelp = {
  chatmail_server_info: "Domain, fleet and version of each ChatmailServer; always 1",
  chatmail_server_condition: "1 for the current status of each condition of a ChatmailServer: True, False or Unknown",
  chatmail_server_certificate_expiration_timestamp_seconds: "When the certificate of a ChatmailServer ends, since 1970",
  chatmail_server_dns_records: "DNS records of a ChatmailServer, by need (Required, Recommended) and state",
  chatmail_server_last_expiry_timestamp_seconds: "When expiry of a ChatmailServer last succeeded, since 1970",
  chatmail_fleet_condition: "1 for the current status of each condition of a ChatmailFleet: True, False or Unknown",
  chatmail_fleet_servers:
    "Servers of a ChatmailFleet, by state: total, ready, stalled, paused, updated, waiting, failed",
  leader_election_master_status: "1 for the replica of the operator that leads, 0 for one that waits",
} as const;

export interface MetricTools {
  servers: () => Iterable<Server>;
  fleets: () => Iterable<Fleet>;
  /** Whether this replica leads. */
  leads: () => boolean;
  /** Of the lease. */
  name: string;
}

export function addServerMetrics(metrics: Metrics, { servers, fleets, leads, name }: MetricTools): void {
  const add = <Each extends Of<unknown>>(
    metric: keyof typeof serverHelp,
    all: () => Iterable<Each>,
    samplesOf: (each: Each) => Sample[],
  ) =>
    metrics.gauge(metric, () =>
      leads()
        ? [...all()].flatMap((each) => {
            const { namespace = "", name: of } = each.metadata;
            return samplesOf(each).map(({ labels, value }) => ({ labels: { namespace, name: of, ...labels }, value }));
          })
        : [],
    );
  metrics.gauge("leader_election_master_status", () => [{ labels: { name }, value: leads() ? 1 : 0 }]);
  add("chatmail_server_info", servers, ({ spec, status }) => [
    {
      labels: {
        domain: spec?.domain ?? "",
        fleet: spec?.fleetRef?.name ?? "",
        version: status?.relay?.version ?? "",
      },
      value: 1,
    },
  ]);
  add("chatmail_server_condition", servers, ({ status }) => conditionSamples(status?.conditions));
  add("chatmail_server_certificate_expiration_timestamp_seconds", servers, ({ status }) =>
    timeSamples(status?.certificate?.notAfter),
  );
  add("chatmail_server_last_expiry_timestamp_seconds", servers, ({ status }) =>
    timeSamples(status?.lastExpiry?.completionTime),
  );
  add("chatmail_server_dns_records", servers, ({ status }) => recordSamples(status?.dns?.records));
  add("chatmail_fleet_condition", fleets, ({ status }) => conditionSamples(status?.conditions));
  add("chatmail_fleet_servers", fleets, ({ status }) =>
    Object.entries(status?.servers ?? {}).flatMap(([state, value]) =>
      typeof value === "number" ? [{ labels: { state }, value }] : [],
    ),
  );
}

const conditionSamples = (conditions: readonly Condition[] = []): Sample[] =>
  conditions.map(({ type, status }) => ({ labels: { type, status }, value: 1 }));

function timeSamples(time: string | undefined): Sample[] {
  const ms = Date.parse(time ?? "");
  return Number.isNaN(ms) ? [] : [{ labels: {}, value: ms / 1000 }];
}

/** Counts and no names: a server has a dozen records, and `status.dns` says which is wrong. */
function recordSamples(records: NonNullable<ChatmailServerStatus["dns"]>["records"] = []): Sample[] {
  const kinds = Map.groupBy(records, ({ need, state = "Unknown" }) => `${need} ${state}`);
  return [...kinds.values()].map((same) => {
    const [{ need, state = "Unknown" } = { need: "Required" as const }] = same;
    return { labels: { need, state }, value: same.length };
  });
}
