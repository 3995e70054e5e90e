/**
 * Each alert by promtool: it fires when its trouble lasts, not before, and never where all is well.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { alerts } from "../../scripts/monitoring/alerts.ts";
import { Metrics as AnyMetrics } from "../../src/lib/metrics.ts";
import { operatorHelp } from "../../src/operator/metrics.ts";
import { Metrics } from "../../src/relay/metrics.ts";
import { prometheusIsMissing, promtool } from "../helpers/prometheus.ts";

const of = 'namespace="chatmail",name="nine"';
const series = (metric: string, labels = "") => `${metric}{${[of, labels].filter(Boolean).join(",")}}`;
const condition = (type: string, status: string) =>
  series("chatmail_server_condition", `type="${type}",status="${status}"`);
const always = (value: number) => `${value}+0x1600`;
const operator = { 'chatmail_operator_info{instance="a"}': always(1) };
const server = { namespace: "chatmail", name: "nine" };
const day = 86_400;

type Given = Record<string, string>;

/** What there is where all is well, and where it is not. */
const cases: Record<string, { trouble: Given; fine: Given; labels: Record<string, string> }> = {
  ChatmailOperatorDown: { trouble: {}, fine: operator, labels: {} },
  ChatmailOperatorWithoutLeader: {
    trouble: { ...operator, 'leader_election_master_status{instance="a",name="x"}': always(0) },
    fine: {
      ...operator,
      'leader_election_master_status{instance="a",name="x"}': always(1),
      'leader_election_master_status{instance="other",name="x"}': always(0),
    },
    labels: {},
  },
  ChatmailOperatorFailing: {
    trouble: { ...operator, 'controller_runtime_reconcile_errors_total{instance="a",controller="dns"}': "0+3x1600" },
    fine: {
      ...operator,
      'controller_runtime_reconcile_errors_total{instance="a",controller="dns"}': always(7),
      'controller_runtime_reconcile_errors_total{instance="other",controller="dns"}': "0+3x1600",
    },
    labels: { controller: "dns" },
  },
  ChatmailOperatorBlind: {
    trouble: { ...operator, 'kube_store_filled{instance="a",resource="secrets"}': always(0) },
    fine: { ...operator, 'kube_store_filled{instance="a",resource="secrets"}': always(1) },
    labels: { resource: "secrets" },
  },
  ChatmailServerNotReady: {
    trouble: { [condition("Ready", "Unknown")]: always(1) },
    fine: { [condition("Ready", "True")]: always(1) },
    labels: server,
  },
  ChatmailServerStalled: {
    trouble: { [condition("Stalled", "True")]: always(1) },
    fine: { [condition("Stalled", "False")]: always(1) },
    labels: server,
  },
  ChatmailDeliveryFailing: {
    trouble: { [condition("Deliverable", "False")]: always(1) },
    fine: { [condition("Deliverable", "Unknown")]: always(1) },
    labels: server,
  },
  ChatmailQueueStuck: {
    trouble: { [condition("QueueHealthy", "False")]: always(1) },
    fine: { [condition("QueueHealthy", "True")]: always(1) },
    labels: server,
  },
  ChatmailVolumeNearlyFull: {
    trouble: {
      [series("chatmail_volume_size_bytes")]: always(1_000),
      [series("chatmail_volume_available_bytes")]: always(900),
      [series("chatmail_volume_inodes")]: always(100),
      [series("chatmail_volume_available_inodes")]: always(14),
    },
    fine: {
      [series("chatmail_volume_size_bytes")]: always(1_000),
      [series("chatmail_volume_available_bytes")]: always(150),
      [series("chatmail_volume_inodes")]: always(0),
      [series("chatmail_volume_available_inodes")]: always(0),
    },
    labels: server,
  },
  ChatmailVolumeFull: {
    trouble: {
      [series("chatmail_volume_size_bytes")]: always(1_000),
      [series("chatmail_volume_available_bytes")]: always(99),
    },
    fine: {
      [series("chatmail_volume_size_bytes")]: always(1_000),
      [series("chatmail_volume_available_bytes")]: always(100),
    },
    labels: server,
  },
  ChatmailCertificateEndsSoon: {
    trouble: { [series("chatmail_server_certificate_expiration_timestamp_seconds")]: always(14 * day) },
    fine: { [series("chatmail_server_certificate_expiration_timestamp_seconds")]: always(20 * day) },
    labels: server,
  },
  ChatmailRecordsWrong: {
    trouble: { [series("chatmail_server_dns_records", 'need="Required",state="Missing"')]: always(1) },
    fine: {
      [series("chatmail_server_dns_records", 'need="Required",state="Published"')]: always(6),
      [series("chatmail_server_dns_records", 'need="Recommended",state="Missing"')]: always(2),
    },
    labels: server,
  },
  ChatmailExpiryFailing: {
    trouble: { [condition("ExpiryHealthy", "False")]: always(1) },
    fine: { [condition("ExpiryHealthy", "Unknown")]: always(1) },
    labels: server,
  },
  ChatmailBackupFailing: {
    trouble: { [condition("BackupReady", "False")]: always(1) },
    fine: { [condition("BackupReady", "Unknown")]: always(1) },
    labels: server,
  },
  ChatmailRolloutStopped: {
    trouble: { [series("chatmail_fleet_condition", 'type="Stalled",status="True"')]: always(1) },
    fine: { [series("chatmail_fleet_condition", 'type="Stalled",status="False"')]: always(1) },
    labels: server,
  },
  ChatmailServerOutdated: {
    trouble: { [condition("UpToDate", "False")]: always(1) },
    fine: { [condition("UpToDate", "True")]: always(1) },
    labels: server,
  },
  ChatmailRelayNotScraped: {
    trouble: {
      [series("chatmail_server_info")]: always(1),
      'chatmail_relay_info{namespace="chatmail",name="other"}': always(1),
    },
    fine: { [series("chatmail_server_info")]: always(1), [series("chatmail_relay_info")]: always(1) },
    labels: server,
  },
  ChatmailRelaySlow: {
    trouble: {
      [series("chatmail_message_delivery_seconds_bucket", 'le="5"')]: "0+10x1600",
      [series("chatmail_message_delivery_seconds_bucket", 'le="10"')]: "0+60x1600",
      [series("chatmail_message_delivery_seconds_bucket", 'le="+Inf"')]: "0+60x1600",
    },
    fine: {
      [series("chatmail_message_delivery_seconds_bucket", 'le="5"')]: "0+59x1600",
      [series("chatmail_message_delivery_seconds_bucket", 'le="10"')]: "0+60x1600",
      [series("chatmail_message_delivery_seconds_bucket", 'le="+Inf"')]: "0+60x1600",
    },
    labels: server,
  },
  ChatmailPushDropped: {
    trouble: { [series("push_dropped_total")]: "0+5x1600" },
    fine: { [series("push_dropped_total")]: always(900) },
    labels: server,
  },
  ChatmailTurnPortsShort: {
    trouble: {
      [series("chatmail_turn_relay_ports")]: always(100),
      [series("chatmail_turn_relay_ports_used")]: always(81),
    },
    fine: {
      [series("chatmail_turn_relay_ports")]: always(100),
      [series("chatmail_turn_relay_ports_used")]: always(80),
    },
    labels: server,
  },
  ChatmailSourceAddressHidden: {
    trouble: {
      [series("chatmail_client_accounts", 'family="ipv4"')]: always(20),
      [series("chatmail_client_accounts_of_one_address", 'family="ipv4"')]: always(19),
    },
    fine: {
      [series("chatmail_client_accounts", 'family="ipv4"')]: always(19),
      [series("chatmail_client_accounts_of_one_address", 'family="ipv4"')]: always(19),
      [series("chatmail_client_accounts", 'family="ipv6"')]: always(100),
      [series("chatmail_client_accounts_of_one_address", 'family="ipv6"')]: always(60),
    },
    labels: server,
  },
};

const minutesOf = (time: string) => {
  const [, count = "", unit = ""] = /^(\d+)([mhd])$/.exec(time) ?? [];
  return Number(count) * ({ m: 1, h: 60, d: 1_440 }[unit] ?? Number.NaN);
};
/** Until a rate over half an hour, or a certificate's last days, are what they will be. */
const settled = 40;

const folder = mkdtempSync(join(tmpdir(), "alerts-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function write(name: string, content: object): string {
  const path = join(folder, name);
  writeFileSync(path, stringify(content, { aliasDuplicateObjects: false }));
  return path;
}

describe.skipIf(prometheusIsMissing() !== undefined)("alerts", () => {
  test("each has its case", () => {
    expect(Object.keys(cases).sort()).toEqual(alerts.map(({ name }) => name).sort());
  });

  test("those of the chart are understood, their texts too", async () => {
    const { code, text } = await promtool(["check", "rules", "charts/chatmail-operator/generated/rules.yaml"]);
    expect(text).toContain(`${alerts.length} rules found`);
    expect(code).toBe(0);
  });

  test("each fires when its trouble lasts, not before, and not where all is well", async () => {
    const inputs = (given: Given) => Object.entries(given).map(([name, values]) => ({ series: name, values }));
    // each by itself: the tool evaluates all rules of a file for each of its tests
    const files = alerts.map(({ name, expr, for: time }) => {
      const { trouble, fine, labels } = cases[name] ?? { trouble: {}, fine: {}, labels: {} };
      const late = `${minutesOf(time) + settled}m`;
      const is = (at: string, exp_alerts: object[]) => ({ eval_time: at, alertname: name, exp_alerts });
      const tests = [
        {
          name: `${name}: trouble`,
          interval: "1m",
          input_series: inputs(trouble),
          alert_rule_test: [is(`${Math.ceil(minutesOf(time) * 0.9) - 1}m`, []), is(late, [{ exp_labels: labels }])],
        },
        { name: `${name}: fine`, interval: "1m", input_series: inputs(fine), alert_rule_test: [is(late, [])] },
      ];
      const rules = `${name}.rules.yaml`;
      // the texts would have to be repeated here, so they are left out
      write(rules, { groups: [{ name: "one", rules: [{ alert: name, expr, for: time }] }] });
      return write(`${name}.yaml`, {
        rule_files: [rules],
        evaluation_interval: minutesOf(time) > 60 ? "10m" : "1m",
        tests,
      });
    });
    const { code, text } = await promtool(["test", "rules", ...files]);
    expect(text).not.toContain("FAILED");
    expect(code).toBe(0);
  });

  /** Names that other chatmail relays have, too, and that dashboards know. */
  const older =
    /^(filtered|outgoing|incoming|rejected)_\w*_count |^quota_expire_|^\w*created_accounts|^created_\w*_accounts|^rejected_registrations|^dkim_signed/;

  test.each([
    { of: "the relay", text: () => new Metrics().text() },
    { of: "the operator", text: () => new AnyMetrics(operatorHelp).text() || "x 1\n" },
  ])("metrics of $of are understood, and named as Prometheus wants them", async ({ text }) => {
    const { code, text: said } = await promtool(["check", "metrics"], text());
    const lines = said.split("\n").filter((line) => line !== "" && !older.test(line) && !line.startsWith("x "));
    expect(lines).toEqual([]);
    expect([0, 3]).toContain(code);
  });
});

test("the chart's rules are those of the code", () => {
  const text = readFileSync("charts/chatmail-operator/generated/rules.yaml", "utf8");
  for (const { name } of alerts) expect(text).toContain(`alert: ${name}\n`);
});
