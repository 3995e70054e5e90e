/**
 * What goes wrong around a server that publishes its records by RFC 2136, and how it recovers:
 * against a real API server, and real name servers that are stopped, started and replaced. The
 * table of all such cases is docs/outages.md.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ChatmailServerStatus } from "../../src/api/chatmail-server.ts";
import { publish, type Rfc2136Options, withdraw } from "../../src/dns/providers/rfc2136.ts";
import { DomainNames } from "../../src/operator/tasks/dns.ts";
import { apiServerIsMissing } from "../helpers/api-server.ts";
import { type Keys, nameServersAreMissing, newKey, type RealServer, startBind } from "../helpers/dns-servers.ts";
import { base64, OperatorCluster, type RunningOperator } from "../helpers/operator-cluster.ts";
import { patienceMs, until } from "../helpers/until.ts";

const missing = apiServerIsMissing() ?? nameServersAreMissing();
if (missing) console.warn(`skipped: ${missing}`);
const story = test.skipIf(missing !== undefined);

/**
 * The root and "test", which the operator has as its resolver, too; the name server of "zone.test",
 * and the one it moves to.
 */
const at = { root: "127.0.21.1", one: "127.0.21.2", two: "127.0.21.3" };
const zone = "zone.test";
const patience = { patienceMs: patienceMs.client, everyMs: 50 };
const minuteMs = 60_000;

const keys: Keys = { writer: newKey("writer"), reader: newKey("reader") };
const servers = {} as Record<"root" | "one" | "two", RealServer>;
let cluster: OperatorCluster;
let operator: RunningOperator;
/** How far the operator's clock is ahead. */
let aheadMs = 0;

const start = () => {
  const now = () => new Date(Date.now() + aheadMs);
  operator = cluster.startOperator({
    worldOf: (made) => ({ ...made, names: new DomainNames({ resolvers: [at.root], now, soonestMs: 500 }) }),
  });
};
const restart = async () => {
  await operator.stop();
  start();
};

/** The zone is delegated to this one. */
async function startRoot(name: "one" | "two") {
  await servers.root?.stop();
  const glue = `${name}.servers.test. A ${at[name]}\nroot-server.test. A ${at.root}`;
  servers.root = await startBind({
    address: at.root,
    zones: [
      { name: "", servers: ["root-server.test."], records: `test. NS root-server.test.\n${glue}` },
      { name: "test", servers: ["root-server.test."], records: `${zone}. NS ${name}.servers.test.\n${glue}` },
    ],
  });
}
async function startServer(name: "one" | "two") {
  servers[name] = await startBind({
    address: at[name],
    keys,
    zones: [{ name: zone, servers: [`${name}.servers.test.`] }],
  });
}

beforeAll(async () => {
  if (missing) return;
  await Promise.all([startServer("one"), startRoot("one")]);
  cluster = await OperatorCluster.open();
  await cluster.makeSecret("tsig", "Opaque", right);
  start();
  await makeServer("first");
  await cluster.conditionIs("first", "Ready", "Serving");
});
afterAll(async () => {
  await operator?.stop();
  await cluster?.close();
  for (const each of Object.values(servers)) await each.stop();
});

const right = { secret: base64(keys.writer.secret.toString("base64")) };
const wrong = { secret: base64(newKey("x").secret.toString("base64")) };
const rfc2136 = (address: string, secret = "tsig") => ({
  servers: [address],
  tsig: { keyName: "writer", secretRef: { name: secret } },
});
async function makeServer(name: string, secret?: string) {
  await cluster.makeServer(name, {
    domain: `${name}.${zone}`,
    certificate: { source: "SelfSigned" },
    network: { addresses: ["203.0.113.9"] },
    dns: { mode: "RFC2136", rfc2136: rfc2136(at.one, secret) },
  });
  await cluster.setUp(name);
  await cluster.bringUp(name);
}
const says = (name: string, reason: string) => cluster.conditionIs(name, "DNSReady", reason);
const isReady = async (name: string) => {
  const ready = await cluster.condition(name, "Ready");
  return `${ready?.status} ${ready?.reason}`;
};
const statesOf = ({ dns }: ChatmailServerStatus) => [...new Set((dns?.records ?? []).map(({ state }) => state))];

story("the operator's clock is ten minutes off: nothing is published until it is right", async () => {
  aheadMs = 10 * minuteMs;
  await makeServer("clock");
  const ahead = await cluster.conditionIs("clock", "Ready", "TsigTimeWrong");
  expect(ahead.message).toMatch(/a clock that is (59\d|6\d\d) s behind the operator's/);
  aheadMs = -10 * minuteMs;
  const behind = async () =>
    /s ahead of the operator's/.test((await cluster.condition("clock", "Ready"))?.message ?? "");
  await until("the other direction", behind, patience);
  expect(await isReady("first")).toBe("True Serving");
  aheadMs = 0;
  await cluster.conditionIs("clock", "Ready", "Serving");
});

story("the TSIG secret changes, or its Secret is deleted: what is published stays, and it is named", async () => {
  await cluster.makeSecret("tsig-own", "Opaque", right);
  await makeServer("secret", "tsig-own");
  await says("secret", "RecordsPublished");
  await cluster.change("secrets", "tsig-own", { data: wrong });
  const { status, message } = await says("secret", "TsigSecretWrong");
  expect(status).toBe("False");
  expect(message).toMatch(
    /another secret for the TSIG key writer.*nothing can be changed in the zone; (\d+)\/\1 required/,
  );
  expect(await isReady("secret")).toBe("True Serving");
  await cluster.remove("secrets", "tsig-own");
  await says("secret", "TsigSecretMissing");
  expect(await isReady("secret")).toBe("True Serving");
  await cluster.makeSecret("tsig-own", "Opaque", right);
  await says("secret", "RecordsPublished");
});

story("another operator has published the domain: its records stay, and it is named until they are gone", async () => {
  const domain = `twice.${zone}`;
  const other: Rfc2136Options = {
    domain,
    owners: ["operator-of-another-cluster"],
    ttlSeconds: 30,
    servers: [at.one],
    key: keys.writer,
    random: (below) => Math.floor(Math.random() * below),
    now: () => new Date(),
  };
  await publish([{ name: `${domain}.`, type: "A", values: ["203.0.113.50"], need: "Required" }], other);
  await makeServer("twice");
  const { message } = await cluster.conditionIs("twice", "Ready", "DnsOwnedByOther");
  expect(message).toContain(`_chatmail-owner.${domain}`);
  await cluster.conditionIs("twice", "Stalled", "DnsOwnedByOther");
  expect((await cluster.statusOf("twice")).dns?.records?.find(({ type }) => type === "A")?.seen).toEqual([
    "203.0.113.50",
  ]);
  await withdraw("all", other);
  await cluster.conditionIs("twice", "Ready", "Serving");
});

story("the name server is down: Ready stays, an edit waits, and all goes on when it is up again", async () => {
  await servers.one.down();
  // as after an hour, one that starts meanwhile looks anew
  await restart();
  const { status, message } = await says("first", "RecordsUnknown");
  expect(status).toBe("Unknown");
  expect(message).toMatch(/name server one\.servers\.test \(127\.0\.21\.2\): it can't be reached/);
  expect(await isReady("first")).toBe("True Serving");
  expect(statesOf(await cluster.statusOf("first"))).toEqual(["Unknown"]);
  await cluster.patch("first", { network: { addresses: ["203.0.113.10"] } });
  const waits = async () => {
    const is = await cluster.condition("first", "DNSReady");
    return /127\.0\.21\.2: .*ECONNREFUSED/.test(is?.message ?? "");
  };
  await until("the edit to wait", waits, patience);
  await servers.one.up();
  // for half a minute it is remembered that it was down
  aheadMs = minuteMs;
  await says("first", "RecordsPublished");
  expect((await cluster.statusOf("first")).dns?.records?.find(({ type }) => type === "A")).toMatchObject({
    values: ["203.0.113.10"],
    state: "Published",
  });
  expect(await isReady("first")).toBe("True Serving");
});

story(
  "neither a resolver nor any name server answers the operator: what was published is taken to be there",
  async () => {
    const { one, root } = servers;
    for (const each of [one, root]) await each.down();
    await restart();
    const { message } = await says("first", "RecordsUnknown");
    expect(message).toMatch(/^no resolver knows a name server .*; name server 127\.0\.21\.2: /);
    expect(await isReady("first")).toBe("True Serving");
    for (const each of [one, root]) await each.up();
    await says("first", "RecordsPublished");
  },
);

story("the zone moves to another name server: it is found, and the spec has to name it", async () => {
  await Promise.all([startServer("two"), startRoot("two"), servers.one.down()]);
  // what is known of name servers is asked again
  aheadMs = 2 * minuteMs;
  await cluster.patch("first", { dns: { ttlSeconds: 60 } });
  await cluster.conditionIs("first", "Ready", "DnsServerUnreachable");
  const { dns } = await cluster.statusOf("first");
  expect(dns?.nameServers).toEqual(["two.servers.test"]);
  expect(statesOf({ dns })).toEqual(["Missing"]);
  await cluster.patch("first", { dns: { rfc2136: rfc2136(at.two) } });
  await cluster.conditionIs("first", "Ready", "Serving");
  await says("first", "RecordsPublished");
});
