/** What the doctor finds: nothing where all is well, and each planted fault with its cure. */
import { describe, expect, test } from "vitest";
import type { ChatmailServerStatus, Condition, WrittenServer } from "../../../src/api/chatmail-server.ts";
import { apiVersion, chatmailServer } from "../../../src/api/names.ts";
import type { Facts, InsideFacts } from "../../../src/cli/doctor/facts.ts";
import { findingsOf } from "../../../src/cli/doctor/findings.ts";
import type { Deployment } from "../../../src/kube/kinds.ts";

const now = new Date("2026-11-29T12:00:00Z");
const lastTransitionTime = "2026-11-29T10:00:00Z";
const condition = (type: string, status: Condition["status"], reason: string, message = reason): Condition => ({
  type,
  status,
  reason,
  message,
  lastTransitionTime,
});

const goodStatus: ChatmailServerStatus = {
  conditions: [condition("Ready", "True", "Serving"), condition("AddressesReady", "True", "AddressesKnown")],
  addresses: [{ type: "IPAddress", value: "203.0.113.9", from: "Spec" }],
  certificate: { notAfter: "2027-02-01T00:00:00Z", sha256: "ab12" },
  dns: {
    records: [
      { name: "nine.example.org.", type: "MX", values: ["10 nine.example.org."], need: "Required", state: "Published" },
      { name: "_imaps._tcp.nine.example.org.", type: "SRV", values: ["v"], need: "Recommended", state: "Published" },
    ],
    reverse: [{ address: "203.0.113.9", want: "nine.example.org.", seen: "nine.example.org.", state: "Published" }],
  },
};
const deployment: Deployment = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "chatmail-operator", namespace: "chatmail" },
  status: { availableReplicas: 1 },
};
const inside: InsideFacts = {
  clockAheadMs: 200,
  inotifyInstances: 65_536,
  freeBytes: 8e9,
  totalBytes: 10e9,
  mailOut: { host: "mx.example.net" },
};
const open = (port: number) => ({ address: "203.0.113.9", port });
const ports = [25, 443, 993].map(open);

function serverWith(status: Partial<ChatmailServerStatus>, spec: Partial<WrittenServer["spec"]> = {}): WrittenServer {
  return {
    apiVersion,
    kind: chatmailServer.kind,
    metadata: { name: "nine", namespace: "chatmail", uid: "9", generation: 1 },
    spec: { domain: "nine.example.org", ...spec },
    status: { ...goodStatus, ...status },
  };
}

const healthy: Facts = {
  server: serverWith({}),
  now,
  clusterVersion: { value: "v1.35.2" },
  clockAheadMs: { value: -400 },
  operator: { owner: "chatmail/chatmail-operator", deployment },
  namespaceLabels: { value: { "pod-security.kubernetes.io/enforce": "baseline" } },
  storage: { value: { phase: "Bound", className: "fast", canGrow: true } },
  inside: { value: inside },
  outside: { value: { ports, certificate: { sha256: "AB:12", notAfter: now } } },
};

const wrongOf = (facts: Partial<Facts>) => findingsOf({ ...healthy, ...facts }).filter(({ level }) => level !== "fine");

test("all is well", () => {
  expect(wrongOf({})).toEqual([]);
  expect(findingsOf(healthy).length).toBeGreaterThan(10);
});

const closed = (...which: number[]) => ({
  value: { ports: ports.map((each) => (which.includes(each.port) ? { ...each, problem: "no answer" } : each)) },
});
const record = { name: "nine.example.org.", type: "MX", values: ["v"] };

describe("planted faults", () => {
  test.each<{ fault: string; facts: Partial<Facts>; check: string; level: string; cure: RegExp }>([
    {
      fault: "an old cluster",
      facts: { clusterVersion: { value: "v1.30.9" } },
      check: "cluster",
      level: "problem",
      cure: /Upgrade/,
    },
    {
      fault: "no operator",
      facts: { operator: { unknown: "no operator looks after namespace chatmail" } },
      check: "operator",
      level: "problem",
      cure: /Install the operator/,
    },
    {
      fault: "an operator that does not run",
      facts: { operator: { owner: "chatmail/o", deployment: { ...deployment, status: {} } } },
      check: "operator",
      level: "problem",
      cure: /describe deployment chatmail-operator/,
    },
    {
      fault: "a clock that is wrong here",
      facts: { clockAheadMs: { value: 90_000 }, inside: { value: { ...inside, clockAheadMs: -90_000 } } },
      check: "clock",
      level: "problem",
      cure: /NTP/,
    },
    {
      fault: "a clock that is wrong on the node",
      facts: { inside: { value: { ...inside, clockAheadMs: -3_600_000 } } },
      check: "clock",
      level: "problem",
      cure: /NTP/,
    },
    {
      fault: "a clock that is wrong on the node, and here as well",
      facts: { clockAheadMs: { value: 20_000 }, inside: { value: { ...inside, clockAheadMs: 20_000 } } },
      check: "clock",
      level: "problem",
      cure: /NTP/,
    },
    {
      fault: "Pod Security that refuses the pod",
      facts: { namespaceLabels: { value: { "pod-security.kubernetes.io/enforce": "restricted" } } },
      check: "policy",
      level: "problem",
      cure: /enforce=baseline/,
    },
    {
      fault: "Pod Security that refuses host ports",
      facts: { server: serverWith({}, { network: { exposure: "HostPort" } }) },
      check: "policy",
      level: "problem",
      cure: /enforce=baseline|enforce=privileged/,
    },
    {
      fault: "a claim that is not bound",
      facts: { storage: { value: { phase: "Pending" } } },
      check: "storage",
      level: "problem",
      cure: /describe pvc nine-data/,
    },
    {
      fault: "a class whose volumes can't grow",
      facts: { storage: { value: { phase: "Bound", className: "local-path", canGrow: false } } },
      check: "storage",
      level: "warning",
      cure: /allowVolumeExpansion/,
    },
    {
      fault: "a full volume",
      facts: { inside: { value: { ...inside, freeBytes: 1e8 } } },
      check: "storage",
      level: "problem",
      cure: /storage\.size/,
    },
    {
      fault: "few inotify instances",
      facts: { inside: { value: { ...inside, inotifyInstances: 128 } } },
      check: "node",
      level: "warning",
      cure: /sysctl -w fs\.inotify/,
    },
    {
      fault: "a lost key",
      facts: { server: serverWith({ conditions: [condition("Ready", "False", "DKIMKeyLost")] }) },
      check: "status",
      level: "problem",
      cure: /troubleshooting\.md#dkimkeylost/,
    },
    {
      fault: "a private address",
      facts: {
        server: serverWith({
          conditions: [condition("Ready", "True", "Serving"), condition("AddressesReady", "False", "PrivateAddress")],
        }),
      },
      check: "addresses",
      level: "problem",
      cure: /network\.addresses/,
    },
    {
      fault: "no address",
      facts: { server: serverWith({ addresses: [] }) },
      check: "addresses",
      level: "problem",
      cure: /network\.addresses/,
    },
    {
      fault: "a provider that blocks port 25",
      facts: { inside: { value: { ...inside, mailOut: { host: "mx.example.net", problem: "no answer" } } } },
      check: "port 25 out",
      level: "problem",
      cure: /without-port-25/,
    },
    {
      fault: "a name that the pod can't find",
      facts: {
        inside: { value: { ...inside, mailOut: { host: "mx.example.net", problem: "?", isUnknownName: true } } },
      },
      check: "port 25 out",
      level: "problem",
      cure: /k8s-app=kube-dns/,
    },
    {
      fault: "a firewall",
      facts: { outside: closed(25, 443, 993) },
      check: "ports in",
      level: "problem",
      cure: /get service nine/,
    },
    {
      fault: "port 25 closed alone",
      facts: { outside: closed(25) },
      check: "ports in",
      level: "warning",
      cure: /another network/,
    },
    {
      fault: "a required record is missing",
      facts: { server: serverWith({ dns: { records: [{ ...record, need: "Required", state: "Missing" }] } }) },
      check: "DNS",
      level: "problem",
      cure: /kubectl chatmail dns nine -n chatmail/,
    },
    {
      fault: "a recommended record is another",
      facts: { server: serverWith({ dns: { records: [{ ...record, need: "Recommended", state: "Different" }] } }) },
      check: "DNS",
      level: "warning",
      cure: /kubectl chatmail dns/,
    },
    {
      fault: "another reverse name",
      facts: {
        server: serverWith({
          dns: {
            ...goodStatus.dns,
            reverse: [{ address: "203.0.113.9", want: "nine.example.org.", state: "Missing" }],
          },
        }),
      },
      check: "PTR",
      level: "warning",
      cure: /provider of the address/,
    },
    {
      fault: "a certificate that has ended",
      facts: { server: serverWith({ certificate: { notAfter: "2026-11-28T00:00:00Z" } }) },
      check: "certificate",
      level: "problem",
      cure: /certificates\.md/,
    },
    {
      fault: "a certificate that ends soon",
      facts: { server: serverWith({ certificate: { notAfter: "2026-12-02T00:00:00Z" } }) },
      check: "certificate",
      level: "warning",
      cure: /certificates\.md/,
    },
    {
      fault: "a proxy that ends TLS",
      facts: { outside: { value: { ports, certificate: { sha256: "CD:34", notAfter: now } } } },
      check: "certificate",
      level: "problem",
      cure: /pass it through/,
    },
  ])("$fault", ({ facts, check, level, cure }) => {
    const found = wrongOf(facts);
    expect(found.map((each) => `${each.check} ${each.level}`)).toEqual([`${check} ${level}`]);
    expect(found[0]?.cure).toMatch(cure);
  });

  test("several at once are told in the order of their cure", () => {
    const found = wrongOf({
      operator: { unknown: "no operator looks after namespace chatmail" },
      clockAheadMs: { value: 1e6 },
      inside: { value: { ...inside, clockAheadMs: -1e6 } },
      outside: closed(25, 443, 993),
    });
    expect(found.map(({ check }) => check)).toEqual(["operator", "clock", "ports in"]);
  });
});

test("what can't be seen is said, and is no problem", () => {
  const unknown = { unknown: "you may not" };
  const found = wrongOf({
    namespaceLabels: unknown,
    storage: unknown,
    inside: unknown,
    outside: unknown,
    clusterVersion: unknown,
    clockAheadMs: unknown,
  });
  expect(new Set(found.map(({ level }) => level))).toEqual(new Set(["unknown"]));
  expect(found.map(({ says }) => says).join()).toContain("you may not");
});
