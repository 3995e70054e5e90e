/**
 * The end of servers whose records the operator has published, against a real API server and a real
 * BIND: what is taken away, in which order, and what happens where that fails.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { chatmailServer } from "../../src/api/names.ts";
import { askServer } from "../../src/dns/ask.ts";
import type { KubeObject } from "../../src/kube/object.ts";
import type { LiveEvent } from "../../src/operator/server/live.ts";
import { DomainNames } from "../../src/operator/tasks/dns.ts";
import { apiServerIsMissing } from "../helpers/api-server.ts";
import { type Keys, nameServersAreMissing, newKey, type RealServer, startBind } from "../helpers/dns-servers.ts";
import { base64, namespace, OperatorCluster, pathOf, type RunningOperator } from "../helpers/operator-cluster.ts";
import { patienceMs, until } from "../helpers/until.ts";

const missing = apiServerIsMissing() ?? nameServersAreMissing();
if (missing) console.warn(`skipped: ${missing}`);

/** One server has all: the root, "test" and the zone; it also leads the way there. */
const address = "127.0.8.5";
const zone = "zone.test";
const { plural } = chatmailServer;
const patience = { patienceMs: patienceMs.client, everyMs: 50 };

describe.skipIf(missing !== undefined)("with a real API server and a real name server", () => {
  const keys: Keys = { writer: newKey("writer"), reader: newKey("reader") };
  let bind: RealServer;
  let cluster: OperatorCluster;
  let operator: RunningOperator;
  /** How far the operator's clock is ahead. */
  let aheadMs = 0;
  const now = () => new Date(Date.now() + aheadMs);

  const start = () =>
    cluster.startOperator({
      now,
      worldOf: (made) => ({ ...made, names: new DomainNames({ resolvers: [address], now }) }),
    });
  beforeAll(async () => {
    const servers = ["one.servers.test."];
    const glue = `one.servers.test. A ${address}`;
    bind = await startBind({
      address,
      keys,
      zones: [
        { name: "", servers, records: `test. NS one.servers.test.\n${glue}` },
        { name: "test", servers, records: `${zone}. NS one.servers.test.\n${glue}` },
        { name: zone, servers, records: 'leaves IN TXT "some-verification=1"' },
      ],
    });
    cluster = await OperatorCluster.open();
    operator = start();
    await cluster.makeSecret("tsig", "Opaque", tsig);
    await cluster.makeSecret("tsig-of-one", "Opaque", tsig);
  });
  afterAll(async () => {
    await operator?.stop();
    await cluster?.close();
    await bind?.stop();
  });

  beforeEach(() => {
    aheadMs = 0;
  });

  const tsig = { secret: base64(keys.writer.secret.toString("base64")) };
  const network = { addresses: ["203.0.113.9"] };
  const dnsBy = (secret: string, more: object = {}) => ({
    mode: "RFC2136",
    ttlSeconds: 30,
    rfc2136: { servers: [address], tsig: { keyName: "writer", secretRef: { name: secret } } },
    ...more,
  });
  const valuesAt = async (name: string, type: "A" | "MX" | "TXT" | "CNAME") => {
    const random = (below: number) => Math.floor(Math.random() * below);
    const asked = await askServer({ host: address, port: 53 }, { name, type }, { random, timeoutMs: 4_000, tries: 3 });
    if (!("reply" in asked)) throw new Error(asked.says);
    return asked.reply.answers.filter((each) => each.type === type).map(({ value }) => value);
  };
  const domainOf = (name: string) => `${name}.${zone}`;
  const left = async (name: string) => {
    const domain = `${domainOf(name)}.`;
    const has = async (what: string, type: "A" | "MX" | "TXT" | "CNAME") =>
      (await valuesAt(what, type)).length > 0 ? [`${type} ${what.replace(domain, "@")}`] : [];
    const found = await Promise.all([
      has(domain, "MX"),
      has(domain, "A"),
      has(`chatmail._domainkey.${domain}`, "TXT"),
      has(`www.${domain}`, "CNAME"),
      has(`_chatmail-owner.${domain}`, "TXT"),
    ]);
    return found.flat();
  };
  const all = ["MX @", "A @", "TXT chatmail._domainkey.@", "CNAME www.@", "TXT _chatmail-owner.@"];
  const published = async (name: string, spec: object, at = namespace) => {
    const certificate = { source: "SelfSigned" };
    await cluster.makeServer(name, { domain: domainOf(name), certificate, network, ...spec }, at);
    await until(`the records of ${name}`, async () => (await left(name)).length === all.length, patience);
  };
  const poke = async (name: string) => {
    const metadata = { annotations: { "example.org/poked": String(Math.random()) } };
    await cluster.change(plural, name, { metadata });
  };
  /** As if so much time had passed. */
  const pass = async (name: string, ms: number) => {
    aheadMs += ms;
    await poke(name);
  };
  const says = (name: string, text: string) =>
    until(
      `${name} to say: ${text}`,
      async () => (await cluster.condition(name, "Ready"))?.message.includes(text),
      patience,
    );
  const isGone = (name: string) =>
    until(`${name} to be gone`, async () => !(await cluster.exists(plural, name)), patience);
  const isRemoved = (name: string) =>
    until(`the records of ${name} to be gone`, async () => (await left(name)).length === 0, patience);
  const warningAbout = (name: string) =>
    until(
      `a warning about ${name}`,
      async () => {
        const { items } = await cluster.get<{ items: LiveEvent[] }>("events", "");
        return items.find(
          ({ involvedObject, reason, type, message }) =>
            involvedObject.name === name &&
            reason === "Deleting" &&
            type === "Warning" &&
            message?.includes("left in the zone"),
        )?.message;
      },
      patience,
    );

  test("the MX record first; when its TTL is over, the rest, although the operator is killed meanwhile", async () => {
    await published("leaves", { dns: dnsBy("tsig") });
    await cluster.remove(plural, "leaves");
    await says("leaves", "new mail may come until");
    expect(await left("leaves")).toEqual(all.slice(1));
    operator.kill();
    operator = start();
    await until("the other one", () => operator.world.names.removalOf(`${namespace}/leaves`)?.status, patience);
    expect(await left("leaves")).toEqual(all.slice(1));
    await pass("leaves", 40_000);
    await isGone("leaves");
    expect(await left("leaves")).toEqual([]);
    // only what is ours
    expect(await valuesAt(`${domainOf("leaves")}.`, "TXT")).toEqual(["some-verification=1"]);
  });

  test("a queue is sent while the keys are still in the DNS", async () => {
    await published("queue", { dns: dnsBy("tsig"), storage: { reclaimPolicy: "Delete" } });
    await cluster.setUp("queue");
    await cluster.bringUp("queue");
    await cluster.remove(plural, "queue");
    await says("queue", "new mail may come until");
    await pass("queue", 40_000);
    await says("queue", "no mail is accepted any more");
    expect(await left("queue")).toEqual(all.slice(1));
    await cluster.server.request("DELETE", `${pathOf("pods", "queue-0")}?gracePeriodSeconds=0`);
    await isGone("queue");
    expect(await left("queue")).toEqual([]);
  });

  test("with RetainIdentity they are removed before the mail is, and with Keep not at all", async () => {
    await published("identity", { dns: dnsBy("tsig"), storage: { reclaimPolicy: "RetainIdentity" } });
    await published("keeps", { dns: dnsBy("tsig", { onDelete: "Keep" }) });
    expect((await cluster.get<KubeObject>(plural, "keeps")).metadata.finalizers).toBeUndefined();
    await cluster.remove(plural, "keeps");
    await cluster.setUp("identity");
    await cluster.remove(plural, "identity");
    await says("identity", "new mail may come until");
    await pass("identity", 40_000);
    await says("identity", "deleting all mail");
    expect(await left("identity")).toEqual([]);
    await isGone("keeps");
    expect(await left("keeps")).toEqual(all);
    await cluster.change(plural, "identity", { metadata: { annotations: { "chatmail.dev/force-delete": "yes" } } });
    await isGone("identity");
  });

  test("force-delete waits for nothing, and they go all the same", async () => {
    await published("forced", { dns: dnsBy("tsig") });
    await cluster.change(plural, "forced", { metadata: { annotations: { "chatmail.dev/force-delete": "yes" } } });
    await cluster.remove(plural, "forced");
    await isGone("forced");
    await isRemoved("forced");
  });

  test("a server that is made again meanwhile keeps its records", async () => {
    await published("again", { dns: dnsBy("tsig") });
    await cluster.remove(plural, "again");
    await says("again", "new mail may come until");
    await pass("again", 40_000);
    await isGone("again");
    await published("again", { dns: dnsBy("tsig") });
  });

  test("a namespace that ends is not held up, and its records go", async () => {
    const ending = "ending";
    await cluster.server.makeNamespace(ending);
    const secret = { apiVersion: "v1", kind: "Secret", metadata: { name: "tsig", namespace: ending }, data: tsig };
    await cluster.make("secrets", secret, ending);
    await published("there", { dns: dnsBy("tsig") }, ending);
    await cluster.server.request("DELETE", `/api/v1/namespaces/${ending}`);
    await cluster.remove(plural, "there", ending);
    const status = async () => (await cluster.server.request("GET", pathOf(plural, "there", ending))).status;
    await until("it to be gone", async () => (await status()) === 404, patience);
    await isRemoved("there");
  });

  test("without the TSIG Secret the server goes after a minute; an event names what is left", async () => {
    await published("keyless", { dns: dnsBy("tsig-of-one") });
    await until("the status", async () => (await cluster.statusOf("keyless")).dns?.required === "4/4", patience);
    await cluster.remove("secrets", "tsig-of-one");
    await cluster.remove(plural, "keyless");
    await says("keyless", "can't be removed yet: there is no Secret tsig-of-one");
    await pass("keyless", 61_000);
    await isGone("keyless");
    expect(await warningAbout("keyless")).toMatch(
      /^DNS records of keyless\.zone\.test are left in the zone \(there is no Secret tsig-of-one.*delete them by hand: .*MX keyless\.zone\.test\.,.*TXT _chatmail-owner\.keyless\.zone\.test\./,
    );
    expect(await left("keyless")).toEqual(all);
  });

  test("one that has never published anything does not wait for a Secret", async () => {
    const certificate = { source: "SelfSigned" };
    await cluster.makeServer("never", { domain: domainOf("never"), certificate, network, dns: dnsBy("no-such") });
    await cluster.setUp("never");
    await cluster.remove(plural, "never");
    await isGone("never");
  });

  // the last one: the name server is down from here on
  test("with the name server down the server goes after five minutes; an event names what is left", async () => {
    await published("down", { dns: dnsBy("tsig") });
    await until("the status", async () => (await cluster.statusOf("down")).dns?.required === "4/4", patience);
    await bind.stop();
    await cluster.remove(plural, "down");
    await says("down", "the MX record can't be removed yet: ");
    await pass("down", 301_000);
    await isGone("down");
    expect(await warningAbout("down")).toMatch(/^DNS records of down\.zone\.test are left in the zone \(name server/);
  });
});
