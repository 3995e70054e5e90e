/**
 * dns.mode ExternalDNS: the operator against a real API server, and external-dns' own plan,
 * registry and RFC 2136 provider against a real BIND with two zones.
 */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { chatmailServer } from "../../src/api/names.ts";
import { askServer } from "../../src/dns/ask.ts";
import type { PublishedType } from "../../src/dns/records.ts";
import type { KubeObject } from "../../src/kube/object.ts";
import type { DnsEndpoint } from "../../src/operator/external-dns.ts";
import { DomainNames } from "../../src/operator/tasks/dns.ts";
import { apiServerIsMissing } from "../helpers/api-server.ts";
import { type Keys, nameServersAreMissing, newKey, type RealServer, startBind } from "../helpers/dns-servers.ts";
import { OperatorCluster, type RunningOperator } from "../helpers/operator-cluster.ts";
import { patienceMs, until } from "../helpers/until.ts";
import { buildExternalDns, externalDnsIsBuilt } from "../lab/external-dns.ts";
import { terminalProgress } from "../lab/progress.ts";

const notBuilt =
  externalDnsIsBuilt() || process.env.REQUIRE_ALL === "1"
    ? undefined
    : "external-dns is not built (npm test builds it)";
const missing = apiServerIsMissing() ?? nameServersAreMissing() ?? notBuilt;
if (missing) console.warn(`skipped: ${missing}`);

const address = "127.0.8.6";
const zones = ["one.test", "two.test"];
const { plural } = chatmailServer;
const patience = { patienceMs: patienceMs.client, everyMs: 50 };

describe.skipIf(missing !== undefined)("external-dns", () => {
  const keys: Keys = { writer: newKey("writer"), reader: newKey("reader") };
  let bind: RealServer;
  let cluster: OperatorCluster;
  let operator: RunningOperator;
  let external: { program: string; crd: string };

  beforeAll(async () => {
    external = await buildExternalDns(terminalProgress());
    const servers = ["ns.servers.test."];
    const glue = `ns.servers.test. A ${address}`;
    const delegations = zones.map((zone) => `${zone}. NS ns.servers.test.`).join("\n");
    bind = await startBind({
      address,
      keys,
      zones: [
        { name: "", servers, records: `test. NS ns.servers.test.\n${glue}` },
        { name: "test", servers, records: `${delegations}\n${glue}` },
        { name: "one.test", servers },
        { name: "two.test", servers, records: 'taken IN TXT "some-verification=1"' },
      ],
    });
    cluster = await OperatorCluster.open();
    operator = cluster.startOperator({
      worldOf: (made) => ({ ...made, names: new DomainNames({ resolvers: [address], now: () => new Date() }) }),
    });
  });
  afterAll(async () => {
    await operator?.stop();
    await cluster?.close();
    await bind?.stop();
  });

  const endpointOf = (name: string) => cluster.get<DnsEndpoint>("dnsendpoints", name);
  /** One pass over these DNSEndpoints, as its flags in docs/dns.md have it. */
  const pass = async (names: readonly string[]): Promise<{ created: number; updated: number; deleted: number }> => {
    const all = await Promise.all(names.map(endpointOf));
    const flags = [
      "--source=crd",
      "--provider=rfc2136",
      `--rfc2136-host=${address}`,
      "--rfc2136-port=53",
      ...zones.map((zone) => `--rfc2136-zone=${zone}`),
      `--rfc2136-tsig-keyname=${keys.writer.name}`,
      `--rfc2136-tsig-secret=${keys.writer.secret.toString("base64")}`,
      "--rfc2136-tsig-secret-alg=hmac-sha256",
      "--rfc2136-tsig-axfr",
      ...["A", "AAAA", "CNAME", "MX", "SRV", "TXT"].map((type) => `--managed-record-types=${type}`),
      "--registry=txt",
      "--txt-owner-id=test",
      "--txt-prefix=_edns-%{record_type}.",
      "--policy=sync",
    ];
    const spec = { endpoints: all.flatMap((each) => each.spec.endpoints) };
    return new Promise((resolve, reject) => {
      const child = execFile(external.program, flags, (error, stdout, stderr) =>
        error ? reject(new Error(stderr, { cause: error })) : resolve(JSON.parse(stdout)),
      );
      child.stdin?.end(JSON.stringify({ spec }));
    });
  };
  const make = (name: string, domain: string, more: object = {}) =>
    cluster.makeServer(name, {
      domain,
      certificate: { source: "SelfSigned" },
      network: { addresses: ["203.0.113.9"] },
      dns: { mode: "ExternalDNS", ttlSeconds: 60, ...more },
    });
  const isMade = (name: string) =>
    until(`DNSEndpoint ${name}`, () => cluster.exists("dnsendpoints", name), patience).then(() => endpointOf(name));
  const poke = (name: string) =>
    cluster.change(plural, name, { metadata: { annotations: { "example.org/poked": String(Math.random()) } } });
  const answersAt = async (name: string, type: PublishedType) => {
    const random = (below: number) => Math.floor(Math.random() * below);
    const asked = await askServer({ host: address, port: 53 }, { name, type }, { random, timeoutMs: 4_000, tries: 3 });
    if (!("reply" in asked)) throw new Error(asked.says);
    return asked.reply.answers.filter((each) => each.type === type).map(({ value }) => value);
  };
  const requiredIs = (name: string, text: string) =>
    until(`${name}: ${text}`, async () => (await cluster.statusOf(name)).dns?.required === text, {
      patienceMs: 90_000,
      everyMs: 100,
    });

  test("without its kind the server says so; with it, it goes on by itself", async () => {
    await make("nine", "nine.one.test");
    await cluster.setUp("nine");
    await cluster.bringUp("nine");
    const { message } = await cluster.conditionIs("nine", "Ready", "ExternalDNSMissing");
    expect(message).toContain("the cluster has no kind DNSEndpoint");
    await cluster.conditionIs("nine", "Stalled", "ExternalDNSMissing");
    const crd = parse(await readFile(external.crd, "utf8")) as KubeObject;
    await cluster.server.request("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd);
    const { metadata } = await isMade("nine");
    expect(metadata.ownerReferences).toMatchObject([{ kind: "ChatmailServer", name: "nine" }]);
  });

  test("required records gate Ready until external-dns has published them, in each zone", async () => {
    await make("other", "two.test");
    await isMade("other");
    const pending = await cluster.conditionIs("nine", "Ready", "RecordsPending");
    expect(pending.message).toContain("external-dns publishes DNSEndpoint nine");
    const first = await pass(["nine", "other"]);
    expect(first.created).toBeGreaterThan(20);
    await requiredIs("nine", "4/4");
    await requiredIs("other", "4/4");
    await cluster.conditionIs("nine", "Ready", "Serving");
    // in two strings, and whole
    const [key] = (await cluster.statusOf("nine")).dkim?.keys ?? [];
    const values = await answersAt("chatmail._domainkey.nine.one.test.", "TXT");
    expect(values).toEqual([key?.record?.value.replaceAll('" "', "").slice(1, -1)]);
    expect((await cluster.statusOf("nine")).dns?.recommended).toBe("7/7");
  });

  test("nothing is written while nothing changes; a change is carried on", async () => {
    const before = await endpointOf("nine");
    await poke("nine");
    await cluster.patch("nine", { dns: { externalDNS: { labels: { zone: "public" } } } });
    await until("the label", async () => (await endpointOf("nine")).metadata.labels?.zone === "public", patience);
    expect((await endpointOf("nine")).metadata.generation).toBe(before.metadata.generation);
    await cluster.patch("nine", { network: { addresses: ["203.0.113.10"] } });
    await until("the change", async () => JSON.stringify((await endpointOf("nine")).spec).includes("113.10"), patience);
    await pass(["nine", "other"]);
    expect(await answersAt("nine.one.test.", "A")).toEqual(["203.0.113.10"]);
    await requiredIs("nine", "4/4");
  });

  test("a record of others at the domain keeps it from publishing there, and the status names what is missing", async () => {
    await make("taken", "taken.two.test");
    await isMade("taken");
    await pass(["nine", "other", "taken"]);
    expect(await answersAt("taken.two.test.", "A")).toEqual([]);
    const { message } = await cluster.conditionIs("taken", "DNSReady", "RecordsPending");
    expect(message).toContain("A taken.two.test. is missing");
  });

  test("its records go with it, except those that this provider does not read back", async () => {
    const { metadata } = await endpointOf("nine");
    expect(metadata.ownerReferences).toHaveLength(1);
    await cluster.remove(plural, "nine");
    await until("it to be gone", async () => !(await cluster.exists(plural, "nine")), patience);
    // the garbage collector is not there
    await pass(["other"]);
    for (const type of ["A", "CNAME"] as const) expect(await answersAt("nine.one.test.", type)).toEqual([]);
    expect(await answersAt("www.nine.one.test.", "CNAME")).toEqual([]);
    expect(await answersAt("nine.one.test.", "MX")).toHaveLength(1);
    expect(await answersAt("two.test.", "A")).toEqual(["203.0.113.9"]);
  });
});
