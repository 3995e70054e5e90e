/**
 * The NetworkPolicies of a server, by what they mean: who reaches the relay pod, and whom it
 * reaches.
 */
import { isIP } from "node:net";
import { describe, expect, test } from "vitest";
import { type Component, selectorLabels } from "../../../../src/operator/server/resources/child.ts";
import { networkPolicies } from "../../../../src/operator/server/resources/network-policy.ts";
import { peerBlocks, peerRule } from "../../../../src/pod/networks.ts";
import { aServer, type SpecInput } from "../../../helpers/a-server.ts";
import { type Connection, isAllowed, type NetworkPolicy, type Pod } from "../../../helpers/network-policy.ts";
import { seededRandom } from "../../../helpers/seeded-random.ts";

const operatorNamespace = "chatmail-system";
const policiesOf = (spec: SpecInput = {}) =>
  networkPolicies(aServer(spec), { operatorNamespace, existing: [] }) as unknown as NetworkPolicy[];

const labelsOf = (component: Component, name = "nine") => selectorLabels(aServer({}, { name }), component);
const relay: Pod = { namespace: "chatmail", labels: labelsOf("relay") };
const expiry: Pod = { namespace: "chatmail", labels: labelsOf("expiry") };
const backup: Pod = { namespace: "chatmail", labels: labelsOf("backup") };
const check: Pod = { namespace: "chatmail", labels: labelsOf("check") };
const other: Pod = { namespace: "tenant", labels: labelsOf("relay", "ten"), address: "10.244.0.9" };
const database: Pod = { namespace: "chatmail", labels: { app: "database" }, address: "10.244.0.8" };
const dns: Pod = { namespace: "kube-system", labels: { "k8s-app": "kube-dns" }, address: "10.244.0.2" };
const operator: Pod = { namespace: operatorNamespace, labels: { app: "operator" }, address: "10.244.0.3" };
const prometheus: Pod = { namespace: "monitoring", labels: { app: "prometheus" }, address: "10.244.0.4" };

const turn = { services: { turn: { enabled: true } } };
const push = (url: string, enabled = true) => ({ services: { push: { url, enabled } } });

interface Row extends Omit<Connection, "direction" | "pod"> {
  spec?: SpecInput;
  allowed: boolean;
}

const name = (peer: Pod | string) =>
  typeof peer === "string" ? peer : `${peer.namespace}/${Object.values(peer.labels)[0]}`;
const titled = (rows: Row[]) =>
  rows.map((row) => ({
    ...row,
    title: `${name(row.peer)} ${row.protocol ?? "TCP"} ${row.port}${row.spec ? ` with ${JSON.stringify(row.spec)}` : ""}: ${row.allowed}`,
  }));

describe("into the relay pod", () => {
  test.each(
    titled([
      ...[25, 80, 143, 443, 465, 587, 993].flatMap((port) =>
        ["192.0.2.7", "8.8.8.8", "2001:db8::7", "10.0.0.1", other, database].map((peer) => ({
          peer,
          port,
          allowed: true,
        })),
      ),
      // health, sockets of other programs on the loopback, ssh
      ...[9090, 10083, 10026, 8443, 22, 2525].flatMap((port) =>
        ["8.8.8.8", other, database, prometheus].map((peer) => ({ peer, port, allowed: false })),
      ),
      { peer: operator, port: 9090, allowed: true },
      { peer: operator, port: 10026, allowed: false },
      { peer: "8.8.8.8", port: 25, protocol: "UDP", allowed: false },
      { peer: "8.8.8.8", port: 3478, protocol: "UDP", allowed: false },
      { spec: turn, peer: "8.8.8.8", port: 3478, protocol: "UDP", allowed: true },
      { spec: turn, peer: "8.8.8.8", port: 49_152, protocol: "UDP", allowed: true },
      { spec: turn, peer: "8.8.8.8", port: 49_191, protocol: "UDP", allowed: true },
      { spec: turn, peer: "8.8.8.8", port: 49_192, protocol: "UDP", allowed: false },
      { spec: turn, peer: "8.8.8.8", port: 3478, allowed: false },
      ...[
        { namespaceLabels: { "kubernetes.io/metadata.name": "monitoring" } },
        { namespaceLabels: { "kubernetes.io/metadata.name": "monitoring" }, podLabels: { app: "prometheus" } },
      ].flatMap((metricsFrom) => {
        const spec = { network: { policy: { metricsFrom } } };
        return [
          { spec, peer: prometheus, port: 9090, allowed: true },
          { spec, peer: database, port: 9090, allowed: false },
          { spec, peer: other, port: 9090, allowed: false },
          { spec, peer: operator, port: 9090, allowed: true },
          { spec, peer: "8.8.8.8", port: 9090, allowed: false },
        ];
      }),
      {
        spec: {
          network: {
            policy: {
              metricsFrom: {
                namespaceLabels: { "kubernetes.io/metadata.name": "monitoring" },
                podLabels: { app: "agent" },
              },
            },
          },
        },
        peer: prometheus,
        port: 9090,
        allowed: false,
      },
      // without a namespace: the relay's own, as Kubernetes reads it
      { spec: { network: { policy: { metricsFrom: {} } } }, peer: database, port: 9090, allowed: true },
      { spec: { network: { policy: { metricsFrom: {} } } }, peer: prometheus, port: 9090, allowed: false },
    ]),
  )("$title", ({ spec, peer, port, protocol, allowed }) => {
    const connection = { direction: "Ingress", pod: relay, peer, port, ...(protocol && { protocol }) } as const;
    expect(isAllowed(policiesOf(spec), connection)).toBe(allowed);
  });
});

describe("out of the relay pod", () => {
  const privatePeers = { network: { privatePeers: ["10.20.0.0/16", "fd00:20::/32"] } };
  const refusedPeers = { network: { refusedPeers: ["8.8.8.0/24", "2600::/32"] } };
  test.each(
    titled([
      ...[25, 443].flatMap((port) => [
        ...["8.8.8.8", "1.1.1.1", "2600::1", "2a01:4f8::1", "64:ff9b::808:808"].map((peer) => ({
          peer,
          port,
          allowed: true,
        })),
        ...[
          ...[
            "10.0.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.3.4",
            "192.168.1.1",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
          ],
          ...["::1", "fe80::1", "fd00::1", "2001:db8::1", "2002:a00:1::1", "::ffff:10.0.0.1", "ff02::1"],
          // an IPv4 address behind NAT64: 10.0.0.1, 169.254.169.254
          ...["64:ff9b::a00:1", "64:ff9b::a9fe:a9fe"],
        ].map((peer) => ({ peer, port, allowed: false })),
        { peer: other, port, allowed: true },
        ...[database, dns, operator].map((peer) => ({ peer, port, allowed: false })),
      ]),
      ...[dns, "10.96.0.10", "169.254.20.10", "fd00::a", "9.9.9.9"].flatMap((peer) => [
        { peer, port: 53, allowed: true },
        { peer, port: 53, protocol: "UDP" as const, allowed: true },
      ]),
      { peer: dns, port: 5353, protocol: "UDP", allowed: true },
      { peer: "192.168.1.1", port: 5353, protocol: "UDP", allowed: false },
      ...[22, 80, 587, 6443, 10_250].flatMap((port) =>
        ["8.8.8.8", database, other, "10.96.0.1"].map((peer) => ({ peer, port, allowed: false })),
      ),
      { spec: privatePeers, peer: "10.20.1.1", port: 25, allowed: true },
      { spec: privatePeers, peer: "10.21.1.1", port: 25, allowed: false },
      { spec: privatePeers, peer: "fd00:20::1", port: 443, allowed: true },
      { spec: privatePeers, peer: "64:ff9b::a14:101", port: 25, allowed: true },
      { spec: privatePeers, peer: "10.20.1.1", port: 6443, allowed: false },
      { spec: refusedPeers, peer: "8.8.8.8", port: 25, allowed: false },
      { spec: refusedPeers, peer: "8.8.4.4", port: 25, allowed: true },
      { spec: refusedPeers, peer: "64:ff9b::808:808", port: 25, allowed: false },
      { spec: refusedPeers, peer: "2600::1", port: 25, allowed: false },
      { spec: refusedPeers, peer: "2600:1::1", port: 25, allowed: true },
      { spec: push("https://push.example:8443/notify"), peer: "8.8.8.8", port: 8443, allowed: true },
      { spec: push("https://push.example:8443/notify"), peer: "10.0.0.1", port: 8443, allowed: false },
      { spec: push("https://push.example:8443/notify", false), peer: "8.8.8.8", port: 8443, allowed: false },
      { peer: "8.8.8.8", port: 50_000, protocol: "UDP", allowed: false },
      { spec: turn, peer: "8.8.8.8", port: 50_000, protocol: "UDP", allowed: true },
      { spec: turn, peer: "10.0.0.1", port: 50_000, protocol: "UDP", allowed: false },
    ]),
  )("$title", ({ spec, peer, port, protocol, allowed }) => {
    const connection = { direction: "Egress", pod: relay, peer, port, ...(protocol && { protocol }) } as const;
    expect(isAllowed(policiesOf(spec), connection)).toBe(allowed);
  });
});

test.each([
  { what: "the clean-up", pod: expiry, direction: "Ingress" },
  { what: "the clean-up", pod: expiry, direction: "Egress" },
  { what: "the check of an image", pod: check, direction: "Ingress" },
  { what: "the check of an image", pod: check, direction: "Egress" },
] as const)("$what has no network at all: $direction", ({ pod, direction }) => {
  for (const peer of ["8.8.8.8", "10.0.0.1", dns, database, operator, other])
    for (const port of [25, 53, 443, 9090]) expect(isAllowed(policiesOf(), { direction, pod, peer, port })).toBe(false);
});

describe("a backup", () => {
  const destination = (endpoint?: string) => ({
    backup: { destination: { s3: { bucket: "backups", credentialsSecretName: "s3", ...(endpoint && { endpoint }) } } },
  });
  const volume = { backup: { destination: { volumeClaim: { name: "backups" } } } };
  test.each([
    { spec: destination(), peer: "8.8.8.8", port: 443, allowed: true },
    { spec: destination(), peer: "8.8.8.8", port: 25, allowed: false },
    { spec: destination("https://s3.example.org:9000"), peer: "192.168.1.9", port: 9000, allowed: true },
    { spec: destination("https://s3.example.org:9000"), peer: "192.168.1.9", port: 443, allowed: false },
    { spec: destination("http://minio.storage"), peer: database, port: 9000, allowed: true },
    { spec: destination("http://s3.example.org"), peer: "8.8.8.8", port: 80, allowed: true },
    { spec: destination(), peer: dns, port: 53, allowed: true },
    { spec: volume, peer: "8.8.8.8", port: 443, allowed: false },
    { spec: volume, peer: dns, port: 53, allowed: false },
  ])("to $peer, port $port: $allowed", ({ spec, peer, port, allowed }) => {
    expect(isAllowed(policiesOf(spec), { direction: "Egress", pod: backup, peer, port })).toBe(allowed);
    expect(isAllowed(policiesOf(spec), { direction: "Ingress", pod: backup, peer, port })).toBe(false);
  });

  test("the relay pod reaches nothing more by it", () => {
    const connection = { direction: "Egress", pod: relay, peer: database, port: 9000 } as const;
    expect(isAllowed(policiesOf(destination("http://minio.storage")), connection)).toBe(false);
  });

  test("the relay pod reaches the store that it begins with", () => {
    const s3 = { bucket: "backups", credentialsSecretName: "s3", endpoint: "http://192.168.1.9:9000" };
    const bootstrap = { restore: { s3, ageIdentitySecretName: "age" } };
    const at = (port: number) =>
      isAllowed(policiesOf({ bootstrap }), { direction: "Egress", pod: relay, peer: "192.168.1.9", port });
    expect([at(9000), at(22)]).toEqual([true, false]);
  });

  test("its policy stays as long as it is there", () => {
    const existing = networkPolicies(aServer(destination()), { operatorNamespace, existing: [] });
    const after = networkPolicies(aServer(), { operatorNamespace, existing }) as unknown as NetworkPolicy[];
    expect(after.map(({ metadata }) => metadata)).toMatchObject(existing.map(({ metadata: { name } }) => ({ name })));
    expect(isAllowed(after, { direction: "Egress", pod: backup, peer: "8.8.8.8", port: 443 })).toBe(false);
  });
});

test("pods of other servers and of other namespaces are not concerned", () => {
  const elsewhere = { ...relay, namespace: "tenant" };
  const neighbour = { ...relay, labels: labelsOf("relay", "ten") };
  for (const pod of [elsewhere, neighbour, database])
    expect(isAllowed(policiesOf(), { direction: "Egress", pod, peer: "10.0.0.1", port: 22 })).toBe(true);
});

describe("turned off", () => {
  const off = { network: { policy: { enabled: false } } };

  test("none is made", () => expect(policiesOf(off)).toEqual([]));

  test("those that exist select no pod any more, and allow nothing that policies of others refuse", () => {
    const existing = networkPolicies(aServer(), { operatorNamespace, existing: [] });
    const after = networkPolicies(aServer(off), { operatorNamespace, existing }) as unknown as NetworkPolicy[];
    expect(after).toHaveLength(2);
    for (const pod of [relay, expiry, check]) {
      const connection = { direction: "Egress", pod, peer: "10.0.0.1", port: 22 } as const;
      expect(isAllowed(after, connection)).toBe(true);
      const deny: NetworkPolicy = {
        metadata: { namespace: "chatmail" },
        spec: { podSelector: {}, policyTypes: ["Ingress", "Egress"] },
      };
      expect(isAllowed([...after, deny], connection)).toBe(false);
    }
  });
});

describe("ranges", () => {
  const next = seededRandom(15);
  const byte = () => Math.floor(next() * 256);
  const ipv4 = () => [byte(), byte(), byte(), byte()].join(".");
  const group = () => Math.floor(next() * 65_536).toString(16);
  const starts = [
    "2001",
    "2002",
    "2600",
    "2a01",
    "3fff",
    "4000",
    "fd00",
    "fe80",
    "ff02",
    "64:ff9b:0:0:0:0",
    "2001:db8",
  ];
  const ipv6 = () => {
    const groups = (starts[Math.floor(next() * starts.length)] ?? "").split(":");
    return [...groups, ...Array.from({ length: 8 - groups.length }, group)].join(":");
  };
  const edges = [
    "9.255.255.255",
    "10.0.0.0",
    "10.255.255.255",
    "11.0.0.0",
    "223.255.255.255",
    "224.0.0.0",
    "1fff::",
    "2000::",
    "3ffe:ffff::",
    "3fff:1000::",
    "2001:200::",
    "2001:1ff:ffff::",
  ];

  test.each([
    { networks: {} },
    { networks: { allowed: ["10.20.0.0/16", "fd00::/8"], refused: ["8.0.0.0/7", "2600::/12", "11.0.0.0/8"] } },
    { networks: { refused: ["0.0.0.0/0", "2000::/3"] } },
    { networks: { allowed: ["0.0.0.0/0"], refused: ["64:ff9b::/64"] } },
    // not at the beginning of their networks
    { networks: { allowed: ["10.20.30.40/16"], refused: ["8.8.8.8/24", "2600::5/32"] } },
  ])("mean what the relay itself goes by: $networks", ({ networks }) => {
    const may = peerRule(networks);
    const policy = {
      metadata: { namespace: "x" },
      spec: {
        podSelector: {},
        policyTypes: ["Egress"],
        egress: [{ to: peerBlocks(networks).map((ipBlock) => ({ ipBlock })) }],
      },
    };
    const pod = { namespace: "x", labels: {} };
    const wrong = [...edges, ...Array.from({ length: 400 }, ipv4), ...Array.from({ length: 400 }, ipv6)].filter(
      (peer) => isIP(peer) && isAllowed([policy], { direction: "Egress", pod, peer, port: 25 }) !== may(peer),
    );
    expect(wrong).toEqual([]);
  });
});
