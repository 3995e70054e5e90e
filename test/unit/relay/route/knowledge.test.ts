import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { peerRule } from "../../../../src/pod/networks.ts";
import { PeerError } from "../../../../src/relay/https/peers.ts";
import { Discovery } from "../../../../src/relay/route/discover.ts";
import { Knowledge } from "../../../../src/relay/route/knowledge.ts";
import type { HttpsRoute } from "../../../../src/relay/route/policy.ts";
import { Routes } from "../../../../src/relay/route/routes.ts";
import { until } from "../../../helpers/until.ts";
import { collectingLog, limits, settings } from "../settings.ts";

const https: HttpsRoute = { state: "yes", hosts: ["mx.two.test"], failures: 1, lookAt: 5, tooLargeBytes: 9 };
const sts = { id: "1", mode: "enforce", mx: ["*.two.test"], until: 7 } as const;

function place() {
  const { log, lines } = collectingLog();
  return { path: join(settings().mailFolder, ".destinations.json"), log, lines, now: () => 1000 };
}

test("what was learnt is there after a restart", async () => {
  const options = place();
  const before = await Knowledge.open(options);
  before.learn("two.test", { https });
  before.learn("two.test", { sts });
  before.learn("[1.2.3.4]", { https: { ...https, hosts: ["1.2.3.4"] } });
  await before.close();
  const after = await Knowledge.open(options);
  expect(after.get("two.test")).toEqual({ https, sts });
  expect(after.get("[1.2.3.4]")?.https?.hosts).toEqual(["1.2.3.4"]);
  expect(after.get("three.test")).toBeUndefined();
});

test("the file of an earlier version is read once, and removed", async () => {
  const options = place();
  const earlier = join(dirname(options.path), ".roads.json");
  writeFileSync(earlier, JSON.stringify({ version: 1, domains: { "two.test": { road: https, sts, usedAt: 900 } } }));
  expect((await Knowledge.open(options)).get("two.test")).toEqual({ https, sts });
  expect(existsSync(earlier)).toBe(false);
  expect((await Knowledge.open(options)).get("two.test")?.https).toEqual(https);
});

test("changes are written without a stop too", async () => {
  const options = place();
  const knowledge = await Knowledge.open({ ...options, writeAfterMs: 0 });
  knowledge.learn("two.test", { https });
  await until("the file", () => existsSync(options.path) && readFileSync(options.path, "utf8").includes("two.test"));
});

test.each(["{", "[]", '{"version":2,"domains":{}}', '{"version":1,"domains":{"a":{"https":{"state":"yes"}}}}', ""])(
  "a file with %j is started anew, and said",
  async (text) => {
    const options = place();
    writeFileSync(options.path, text);
    expect((await Knowledge.open(options)).get("a")).toBeUndefined();
    expect(options.lines.join()).toContain("unreadable");
  },
);

test("the table is bounded, and forgets what was not used for longest", async () => {
  const knowledge = await Knowledge.open({ ...place(), size: 3 });
  for (const domain of ["a.test", "b.test", "c.test"]) knowledge.learn(domain, { https });
  knowledge.get("a.test");
  knowledge.learn("d.test", { https });
  expect(["a.test", "b.test", "c.test", "d.test"].filter((domain) => knowledge.get(domain))).toEqual([
    "a.test",
    "c.test",
    "d.test",
  ]);
  await knowledge.close();
});

test("the table is bounded in bytes too, and the newest entry is kept whatever its size", async () => {
  const large = { ...https, hosts: Array.from({ length: 30 }, (_, at) => `mx${at}.large.test`) };
  const sizeOf = (domain: string, of: HttpsRoute) => domain.length + JSON.stringify({ https: of }).length;
  const bytes = 2 * sizeOf("a.test", https) + sizeOf("large.test", large);
  const knowledge = await Knowledge.open({ ...place(), bytes });
  for (const domain of ["a.test", "b.test", "c.test"]) knowledge.learn(domain, { https });
  knowledge.learn("large.test", { https: large });
  expect(["a.test", "b.test", "c.test", "large.test"].filter((domain) => knowledge.get(domain))).toEqual([
    "b.test",
    "c.test",
    "large.test",
  ]);
  knowledge.learn("larger.test", { https: { ...large, hosts: [...large.hosts, ...large.hosts] } });
  expect(knowledge.get("large.test")).toBeUndefined();
  expect(knowledge.get("larger.test")).toBeDefined();
  await knowledge.close();
});

test("what was not used for a month is forgotten, in the file too", async () => {
  let now = 0;
  const days = (count: number) => count * 86_400_000;
  const options = { ...place(), now: () => now };
  const knowledge = await Knowledge.open(options);
  for (const domain of ["used.test", "unused.test"]) knowledge.learn(domain, { https });
  now = days(20);
  expect(knowledge.get("used.test")).toBeDefined();
  now = days(31);
  expect(knowledge.get("unused.test")).toBeUndefined();
  knowledge.learn("new.test", { https });
  await knowledge.close();
  expect(readFileSync(options.path, "utf8")).not.toContain("unused.test");
  const again = await Knowledge.open(options);
  expect(again.get("used.test")).toEqual({ https });
  now = days(62);
  expect((await Knowledge.open(options)).get("used.test")).toBeUndefined();
});

test("a file without times, as an earlier version wrote it, is taken as used now", async () => {
  const options = { ...place(), now: () => 10 ** 12 };
  writeFileSync(options.path, JSON.stringify({ version: 1, domains: { "two.test": { https, sts } } }));
  expect((await Knowledge.open(options)).get("two.test")).toEqual({ https, sts });
});

interface World {
  hosts?: readonly string[];
  found?: Record<string, "yes" | "no" | "unreached">;
  texts?: readonly string[];
  policy?: string;
  probe?: (host: string) => Promise<"yes" | "no" | "unreached">;
}

async function world({ hosts = ["mx.two.test"], found = {}, texts = [], policy = "", probe }: World) {
  const { lines, ...options } = place();
  const { log } = options;
  const knowledge = await Knowledge.open(options);
  const asked: string[] = [];
  const discovery = new Discovery({
    knowledge,
    resolver: { exchangers: async () => ({ kind: "hosts", hosts }), texts: async () => texts },
    probe: async (host, unverified) => {
      asked.push(`${unverified ? "any" : "verified"} ${host}`);
      return probe ? probe(host) : (found[host] ?? "yes");
    },
    fetchPolicy: async (host) => {
      asked.push(host);
      return policy;
    },
    now: () => 1000,
    log,
    most: 2,
  });
  const config = { domains: { "chat.example": limits(), "1.2.3.4": limits() } };
  return {
    routes: new Routes({ config, knowledge, discovery, mayConnect: peerRule(), now: () => 1000 }),
    discovery,
    knowledge,
    asked,
    lines,
  };
}

const transport = (key: string) => ({ map: "transport", key });
const tlsPolicy = (key: string) => ({ map: "tls-policy", key });

test("the first mail goes by SMTP at once, the domain is discovered beside, once", async () => {
  const { routes, discovery, asked } = await world({});
  expect(routes.answer(transport("a@two.test"))).toEqual({ kind: "notFound" });
  await Promise.all(Array.from({ length: 5 }, async () => routes.answer(tlsPolicy("two.test"))));
  await discovery.idle();
  expect(asked).toEqual(["verified mx.two.test"]);
  expect(routes.answer(transport("a@two.test"))).toEqual({ kind: "ok", value: "https:[127.0.0.1]:10083,two.test" });
  expect(asked).toHaveLength(1);
});

test.each(["a@two.test", "a@_two.test", "a@[8.8.8.8]", "a@[10.0.0.8]"])(
  "Postfix asks for the route of whatever a client mentions: nobody is connected to for %j",
  async (key) => {
    const { routes, discovery, asked } = await world({});
    await routes.answer(transport(key));
    await discovery.idle();
    expect(asked).toEqual([]);
  },
);

test.each([
  { key: "[8.8.8.8]", looks: ["any mx.two.test"] },
  { key: "[ipv6:2606:4700::1]", looks: ["any mx.two.test"] },
  { key: "[10.0.0.8]", looks: [] },
  { key: "[127.0.0.1]:10083", looks: [] },
  { key: "[10.8]", looks: [] },
])("a delivery to $key: $looks", async ({ key, looks }) => {
  const { routes, discovery, asked } = await world({});
  await routes.answer(tlsPolicy(key));
  await discovery.idle();
  expect(asked).toEqual(looks);
});

test("a server that may not be connected to has no HTTPS, and is not looked at again for a while", async () => {
  const { discovery, knowledge } = await world({
    probe: async () => {
      throw new PeerError("refused_address", "it may not be connected to");
    },
  });
  discovery.start("two.test");
  await discovery.idle();
  expect(knowledge.get("two.test")?.https).toMatchObject({ state: "no", hosts: [] });
});

test("the table of DNS records and of routes that end here", async () => {
  const { routes } = await world({});
  expect(await routes.answer({ map: "dns-reply", key: "a.test. 60 IN A 10.0.0.8" })).toEqual({
    kind: "ok",
    value: "IGNORE",
  });
  expect(await routes.answer({ map: "dns-reply", key: "a.test. 60 IN A 8.8.8.8" })).toEqual({ kind: "notFound" });
  expect(routes.answer(transport("a@[10.0.0.8]"))).toMatchObject({
    kind: "ok",
    value: expect.stringMatching(/^error:5\.4\.4 /),
  });
});

test.each(["*", "a@chat.example", "a@[1.2.3.4]", "postmaster", "a@-", ""] as const)(
  "nothing is looked for behind %j",
  async (key) => {
    const { routes, discovery, asked } = await world({});
    expect(routes.answer(transport(key))).toEqual({ kind: "notFound" });
    await discovery.idle();
    expect(asked).toEqual([]);
  },
);

test.each([
  { hosts: ["a.test", "b.test"], found: {}, known: { state: "yes", hosts: ["a.test", "b.test"] } },
  { hosts: ["a.test", "b.test"], found: { "b.test": "no" }, known: { state: "yes", hosts: ["a.test"] } },
  { hosts: ["a.test", "b.test"], found: { "a.test": "no" }, known: { state: "no" } },
  { hosts: ["a.test", "b.test"], found: { "a.test": "unreached" }, known: { state: "unreached" } },
] as const)("of $hosts with $found: $known", async ({ hosts, found, known }) => {
  const { discovery, knowledge } = await world({ hosts, found });
  discovery.start("_two.test");
  await discovery.idle();
  expect(knowledge.get("_two.test")?.https).toMatchObject(known);
});

test.each([
  { domain: "two.test", looks: ["verified mx.two.test"] },
  { domain: "_two.test", looks: ["any mx.two.test"] },
  { domain: "[1.2.3.4]", looks: ["any mx.two.test"] },
])(
  "$domain is looked at as strictly as mail will be: $looks; only names with a certificate have a policy",
  async ({ domain, looks }) => {
    const { discovery, asked } = await world({ texts: ["v=STSv1; id=1"] });
    discovery.start(domain);
    await discovery.idle();
    const policy = domain === "two.test" ? ["mta-sts.two.test"] : [];
    expect(asked.toSorted()).toEqual([...policy, ...looks].toSorted());
  },
);

test("the first mail to a domain waits for its MTA-STS policy", async () => {
  const policy = "version: STSv1\nmode: enforce\nmx: mx.two.test\nmax_age: 86400\n";
  const { routes, asked } = await world({ texts: ["v=STSv1; id=1"], policy });
  const answer = await routes.answer({ map: "tls-policy", key: "two.test" });
  expect(answer).toEqual({ kind: "ok", value: "secure match=mx.two.test servername=hostname" });
  expect(asked).toContain("mta-sts.two.test");
});

test("looks are bounded, and all are made", async () => {
  const { discovery, knowledge } = await world({});
  const domains = Array.from({ length: 20 }, (_, at) => `d${at}.test`);
  for (const domain of domains) discovery.start(domain);
  await discovery.idle();
  expect(domains.filter((domain) => knowledge.get(domain)?.https?.state === "yes")).toHaveLength(20);
});

test("an unknown table is a mistake and no answer", async () => {
  const { routes } = await world({});
  expect(await routes.answer({ map: "x", key: "y" })).toMatchObject({ kind: "temporary" });
});
