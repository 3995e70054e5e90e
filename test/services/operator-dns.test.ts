/**
 * The operator against a real API server, and domains in real name servers: BIND with a dynamic,
 * signed zone that is delegated to it, and a second server that is behind or down.
 */
import { createHash, X509Certificate } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ChatmailServerStatus } from "../../src/api/chatmail-server.ts";
import { DomainNames } from "../../src/operator/tasks/dns.ts";
import { apiServerIsMissing } from "../helpers/api-server.ts";
import {
  anchorOf,
  type Keys,
  nameServersAreMissing,
  newKey,
  type RealServer,
  startBind,
} from "../helpers/dns-servers.ts";
import { base64, type LiveSecret, OperatorCluster, type RunningOperator } from "../helpers/operator-cluster.ts";
import { until } from "../helpers/until.ts";

const missing = apiServerIsMissing() ?? nameServersAreMissing();
if (missing) console.warn(`skipped: ${missing}`);

/** The root and "zone.test", one server of it and another, and a resolver. */
const at = { root: "127.0.8.1", one: "127.0.8.2", two: "127.0.8.3", resolver: "127.0.8.4" };
const zone = "zone.test";
/** Signed, and its resolvers are told of another key. */
const wrong = "wrong.test";
const servers = ["one.servers.test.", "two.servers.test."];
const patience = { patienceMs: 90_000, everyMs: 100 };

describe.skipIf(missing !== undefined)("with a real API server and real name servers", () => {
  const keys: Keys = { writer: newKey("writer"), reader: newKey("reader") };
  const running: RealServer[] = [];
  let cluster: OperatorCluster;
  let operator: RunningOperator;

  const startTwo = async (serial: number, records: string) => {
    const two = await startBind({ address: at.two, zones: [{ name: zone, servers, serial, records }] });
    running.push(two);
    return two;
  };
  beforeAll(async () => {
    const one = await startBind({
      address: at.one,
      keys,
      zones: [
        { name: zone, servers, signed: true, serial: 100 },
        { name: wrong, servers: servers.slice(0, 1), signed: true },
      ],
    });
    const ds = await one.ds(zone);
    const delegation = `${zone}. NS one.servers.test.\n${zone}. NS two.servers.test.\n${ds}
      ${wrong}. NS one.servers.test.\n${await one.ds(wrong)}`.replaceAll(/^ +/gm, "");
    const glue = `one.servers.test. A ${at.one}\ntwo.servers.test. A ${at.two}\nroot-server.test. A ${at.root}`;
    const root = await startBind({
      address: at.root,
      zones: [
        { name: "", servers: ["root-server.test."], records: `test. NS root-server.test.\n${glue}` },
        { name: "test", servers: ["root-server.test."], records: `${delegation}\n${glue}` },
      ],
    });
    const resolver = await startBind({
      address: at.resolver,
      zones: [],
      resolver: { root: at.root, trusts: [anchorOf(ds), `"${wrong}" static-ds 1 13 2 "${"00".repeat(32)}"`] },
    });
    running.push(one, root, resolver);
    cluster = await OperatorCluster.open();
    operator = cluster.startOperator({
      worldOf: (made) => ({ ...made, names: new DomainNames({ resolvers: [at.resolver], now: () => new Date() }) }),
    });
  });
  afterAll(async () => {
    await operator?.stop();
    await cluster?.close();
    for (const each of running) await each.stop();
  });

  const rfc2136 = (secret: string) => ({
    mode: "RFC2136",
    rfc2136: { servers: [at.one], tsig: { keyName: "writer", secretRef: { name: secret } } },
  });
  const network = { addresses: ["203.0.113.9"] };
  const statusIs = (name: string, what: string, is: (status: ChatmailServerStatus) => boolean) =>
    until(
      `${name}: ${what}`,
      async () => {
        const status = await cluster.statusOf(name);
        return is(status) && status;
      },
      patience,
    );
  const stateOf = (status: ChatmailServerStatus, type: string) =>
    status.dns?.records?.find((each) => each.type === type)?.state;
  const readyOf = (status: ChatmailServerStatus) => {
    const ready = status.conditions?.find(({ type }) => type === "Ready");
    return `${ready?.status} ${ready?.reason}`;
  };
  const podRuns = async (name: string) => {
    await cluster.setUp(name);
    await cluster.bringUp(name);
  };
  const secretOf = (text: string) => ({ secret: base64(text) });

  test("published by update: Ready waits for the Secret and for the second name server, and names what is missing", async () => {
    const domain = `first.${zone}`;
    await cluster.makeServer("first", { domain, certificate: { source: "SelfSigned" }, network, dns: rfc2136("tsig") });
    await podRuns("first");
    await cluster.conditionIs("first", "Ready", "TsigSecretMissing");
    // the second server is not there yet, and the first one has all
    await cluster.makeSecret("tsig", "Opaque", secretOf(keys.writer.secret.toString("base64")));
    const published = await statusIs("first", "published", (status) => stateOf(status, "MX") === "Published");
    expect(published.dns).toMatchObject({
      zone,
      nameServers: ["one.servers.test", "two.servers.test"],
      dnssec: "Signed",
    });
    const { message } = await cluster.conditionIs("first", "DNSReady", "RecordsPublished");
    expect(message).toMatch(/name server two\.servers\.test \(127\.0\.8\.3\): it can't be reached/);
    await cluster.conditionIs("first", "Ready", "Serving");

    // it comes up with what it had long ago
    const two = await startTwo(50, "");
    await cluster.patch("first", { network: { addresses: ["203.0.113.10"] } });
    const behind = await statusIs("first", "missing at one", (status) => stateOf(status, "A") === "Missing");
    expect(behind.dns?.records?.find(({ type }) => type === "A")?.at).toEqual(["two.servers.test"]);
    expect(readyOf(behind)).toBe("False RecordsPending");
    const said = await cluster.conditionIs("first", "DNSReady", "RecordsPending");
    expect(said.message).toMatch(/A first\.zone\.test\. is missing at two\.servers\.test/);
    await two.stop();
    await statusIs("first", "published again", (status) => readyOf(status) === "True Serving");
  });

  test("published by hand: it serves, and says what is missing, until it is there", async () => {
    const domain = `second.${zone}`;
    await cluster.makeServer("second", { domain, certificate: { source: "SelfSigned" }, network });
    await podRuns("second");
    const lacking = await statusIs("second", "unpublished", (status) => readyOf(status) === "True ServingUnpublished");
    const required = lacking.dns?.records?.filter(({ need }) => need === "Required").length;
    expect(lacking.dns?.required).toBe(`0/${required}`);
    expect(lacking.conditions?.find(({ type }) => type === "Stalled")?.status).toBe("False");
    const zoneText = (await cluster.get<{ data?: Record<string, string> }>("configmaps", "second-dns")).data?.[
      "records.zone"
    ];
    expect(zoneText).toContain(`${domain}. `);
    // another server's update is how the zone gets them here
    await cluster.patch("second", { dns: rfc2136("tsig") });
    await statusIs(
      "second",
      "served",
      (status) => readyOf(status) === "True Serving" && status.dns?.required === `${required}/${required}`,
    );
    await cluster.patch("second", { dns: { mode: "Manual", rfc2136: null } });
    await statusIs("second", "by hand", (status) => status.dns?.required === `${required}/${required}`);
  });

  test("once all is right, nothing is written any more, and nobody verifies a domain with mode None", async () => {
    const before = await cluster.versions("first");
    await cluster.patch("second", { dns: { mode: "None" } });
    await until(
      "the condition to be gone",
      async () => (await cluster.condition("second", "DNSReady")) === undefined,
      patience,
    );
    expect((await cluster.statusOf("second")).dns?.required).toBeUndefined();
    expect(await cluster.versions("first")).toEqual(before);
  });

  test("a wrong secret is named; the right one is taken up by itself", async () => {
    await cluster.makeSecret("tsig-wrong", "Opaque", secretOf(newKey("x").secret.toString("base64")));
    const spec = {
      domain: `third.${zone}`,
      certificate: { source: "SelfSigned" },
      network,
      dns: rfc2136("tsig-wrong"),
    };
    await cluster.makeServer("third", spec);
    await podRuns("third");
    const { message } = await cluster.conditionIs("third", "DNSReady", "TsigSecretWrong");
    expect(message).toMatch(/another secret for the TSIG key writer/);
    await cluster.change("secrets", "tsig-wrong", { data: secretOf(keys.writer.secret.toString("base64")) });
    await statusIs("third", "served", (status) => readyOf(status) === "True Serving");
  });

  test("validated by a resolver: the key of port 25 is published; a zone whose signatures are wrong is named", async () => {
    const dnssecResolvers = [at.resolver];
    await cluster.patch("first", { network: { addresses: ["203.0.113.10"], dnssecResolvers } });
    const secure = await statusIs("first", "TLSA", (status) => stateOf(status, "TLSA") === "Published");
    expect(secure.dns?.dnssec).toBe("Secure");
    const { data = {} } = await cluster.get<LiveSecret>("secrets", "first-tls");
    const certificate = new X509Certificate(Buffer.from(data["tls.crt"] ?? "", "base64"));
    const key = createHash("sha256")
      .update(certificate.publicKey.export({ type: "spki", format: "der" }))
      .digest("hex");
    expect(secure.dns?.records?.find(({ type }) => type === "TLSA")).toMatchObject({
      name: `_25._tcp.first.${zone}.`,
      values: [`3 1 1 ${key}`],
    });
    const spec = { domain: `nine.${wrong}`, certificate: { source: "SelfSigned" }, dns: rfc2136("tsig") };
    await cluster.makeServer("wrong", { ...spec, network: { ...network, dnssecResolvers } });
    await podRuns("wrong");
    const { message } = await cluster.conditionIs("wrong", "DNSReady", "DnssecBogus");
    expect(message).toContain(`the DNSSEC signatures of zone ${wrong} are wrong`);
    const bogus = await cluster.statusOf("wrong");
    expect(bogus.dns).toMatchObject({ dnssec: "Bogus", required: "4/4" });
    expect(bogus.dns?.records?.some(({ type }) => type === "TLSA")).toBe(false);
    await cluster.conditionIs("wrong", "Ready", "Serving");
  });

  test("a name that no zone has is not taken for unpublished", async () => {
    await cluster.makeServer("nowhere", { domain: "nine.nowhere", certificate: { source: "SelfSigned" }, network });
    await cluster.runs("nowhere");
    await cluster.conditionIs("nowhere", "DNSReady", "RecordsUnknown");
    expect(readyOf(await cluster.statusOf("nowhere"))).toBe("True Serving");
  });
});
