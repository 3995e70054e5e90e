import { expect, test } from "vitest";
import { Metrics } from "../../../src/lib/metrics.ts";
import { operatorHelp } from "../../../src/operator/metrics.ts";
import { addServerMetrics } from "../../../src/operator/server-metrics.ts";

const condition = (type: string, status: "True" | "False" | "Unknown") => ({
  type,
  status,
  reason: "Any",
  message: "",
  lastTransitionTime: "2026-11-23T12:00:00Z",
});
const nine = {
  metadata: { namespace: "chatmail", name: "nine" },
  spec: { domain: "nine.example.org", fleetRef: { name: "community" } },
  status: {
    conditions: [condition("Ready", "True"), condition("DNSReady", "Unknown")],
    relay: { version: "1.2.3" },
    certificate: { source: "Secret" as const, secretName: "x", notAfter: "2027-01-01T00:00:00Z" },
    lastExpiry: { completionTime: "2026-11-23T00:02:05Z" },
    dns: {
      records: [
        { name: "a.", type: "MX", values: [], need: "Required" as const, state: "Published" as const },
        { name: "b.", type: "A", values: [], need: "Required" as const, state: "Published" as const },
        { name: "c.", type: "TXT", values: [], need: "Recommended" as const, state: "Missing" as const },
        { name: "d.", type: "TXT", values: [], need: "Recommended" as const },
      ],
    },
  },
};
const community = {
  metadata: { namespace: "chatmail", name: "community" },
  status: { conditions: [condition("Ready", "False")], servers: { total: 3, ready: 2 } },
};

function textOf(leads: boolean, servers: object[] = [nine]): string {
  const metrics = new Metrics(operatorHelp);
  addServerMetrics(metrics, {
    servers: () => servers as (typeof nine)[],
    fleets: () => [community],
    leads: () => leads,
    name: "chatmail-operator",
  });
  return metrics.text();
}

test("the leader tells what the status of servers and fleets says", () => {
  const of = 'namespace="chatmail",name="nine"';
  expect(
    textOf(true)
      .replace(/^#.*\n/gm, "")
      .split("\n")
      .filter(Boolean)
      .sort(),
  ).toEqual(
    [
      'leader_election_master_status{name="chatmail-operator"} 1',
      `chatmail_server_info{${of},domain="nine.example.org",fleet="community",version="1.2.3"} 1`,
      `chatmail_server_condition{${of},type="Ready",status="True"} 1`,
      `chatmail_server_condition{${of},type="DNSReady",status="Unknown"} 1`,
      `chatmail_server_certificate_expiration_timestamp_seconds{${of}} ${Date.parse("2027-01-01T00:00:00Z") / 1000}`,
      `chatmail_server_last_expiry_timestamp_seconds{${of}} ${Date.parse("2026-11-23T00:02:05Z") / 1000}`,
      `chatmail_server_dns_records{${of},need="Required",state="Published"} 2`,
      `chatmail_server_dns_records{${of},need="Recommended",state="Missing"} 1`,
      `chatmail_server_dns_records{${of},need="Recommended",state="Unknown"} 1`,
      'chatmail_fleet_condition{namespace="chatmail",name="community",type="Ready",status="False"} 1',
      'chatmail_fleet_servers{namespace="chatmail",name="community",state="total"} 3',
      'chatmail_fleet_servers{namespace="chatmail",name="community",state="ready"} 2',
    ].sort(),
  );
});

test("each has a help text", () => {
  const names = [...textOf(true).matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name);
  expect(names).toHaveLength(8);
  for (const name of names) expect(textOf(true)).toMatch(new RegExp(`^# HELP ${name} .{10,}$`, "m"));
});

test("one that waits tells that it does not lead, and nothing of servers", () => {
  expect(textOf(false).replace(/^#.*\n/gm, "")).toBe('leader_election_master_status{name="chatmail-operator"} 0\n');
});

test("a server without a status has its domain alone", () => {
  const text = textOf(true, [{ metadata: { namespace: "a", name: "b" }, spec: { domain: "b.test" } }]);
  expect(text.match(/^chatmail_server.*$/gm)).toEqual([
    'chatmail_server_info{namespace="a",name="b",domain="b.test",fleet="",version=""} 1',
  ]);
});
