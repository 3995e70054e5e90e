/** Verification against name servers that speak the wire, with every fault that one can have. */
import type { Answer } from "dns-packet";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { recordsOf, reverseNames } from "../../../src/dns/records.ts";
import { type Verification, Verifier } from "../../../src/dns/verify.ts";
import { Zones } from "../../../src/dns/zone.ts";
import { type Behaviour, closeZoneServers, startZoneServer, type ZoneServer } from "../../helpers/zone-server.ts";

const domain = "nine.example";
const facts = {
  domain,
  addresses: ["203.0.113.9"],
  keys: [
    {
      selector: "chatmail",
      key: { type: "ed25519", base64: "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=" } as const,
    },
  ],
};
const sets = recordsOf(facts);
const reverse = reverseNames(facts);

const txt = (name: string, data: string): Answer => ({ type: "TXT", name, ttl: 60, data: [Buffer.from(data)] });
const srv = (name: string, port: number): Answer => {
  return {
    type: "SRV",
    name: `${name}._tcp.${domain}`,
    ttl: 60,
    data: { priority: 0, weight: 1, port, target: domain },
  };
};
const right: Answer[] = [
  { type: "NS", name: domain, ttl: 60, data: "ns1.nine.example" },
  { type: "NS", name: domain, ttl: 60, data: "ns2.nine.example" },
  { type: "A", name: "ns1.nine.example", ttl: 60, data: "127.0.7.1" },
  { type: "A", name: "ns2.nine.example", ttl: 60, data: "127.0.7.2" },
  { type: "A", name: domain, ttl: 60, data: "203.0.113.9" },
  { type: "MX", name: domain, ttl: 60, data: { preference: 10, exchange: domain } },
  txt(`chatmail._domainkey.${domain}`, "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="),
  { type: "CNAME", name: `www.${domain}`, ttl: 60, data: domain },
  txt(domain, "some-verification=1"),
  txt(domain, "v=spf1 a ~all"),
  txt(`_dmarc.${domain}`, "v=DMARC1; p=reject; adkim=s; aspf=s"),
  txt(`_adsp._domainkey.${domain}`, "dkim=discardable"),
  srv("_submission", 587),
  srv("_submissions", 465),
  srv("_imap", 143),
  srv("_imaps", 993),
];
const without = (...names: string[]) => right.filter(({ name, type }) => !names.includes(`${type} ${name}`));
const instead = (...records: Answer[]) => [
  ...without(...records.map(({ name, type }) => `${type} ${name}`)),
  ...records,
];

/** A server for the root and "example", which is also the resolver, and two for the domain. */
let root: ZoneServer;
let one: ZoneServer;
let two: ZoneServer;
let verifier: Verifier;
let resolver: string;
let zones: Zones;
/** Only what is silent takes this long. */
const timeoutMs = 1_500;
const glue: Answer[] = right.filter(({ name, type }) => type === "NS" || name.startsWith("ns"));
const rootZones = () => [
  {
    zone: "",
    records: [
      { type: "NS", name: ".", ttl: 60, data: "ns.test" },
      { type: "A", name: "ns.test", ttl: 60, data: "127.0.7.3" },
    ] as Answer[],
  },
  { zone: "example", records: [{ type: "NS", name: "example", ttl: 60, data: "ns.test" }, ...glue] as Answer[] },
  {
    zone: "in-addr.arpa",
    records: [{ type: "PTR", name: "9.113.0.203.in-addr.arpa", ttl: 60, data: domain }] as Answer[],
  },
];

beforeEach(async () => {
  const started = await startZoneServer("127.0.7.3", 0, rootZones());
  const { port } = started;
  resolver = `127.0.7.3:${port}`;
  root = started.server;
  one = (await startZoneServer("127.0.7.1", port, [{ zone: domain, records: right }])).server;
  two = (await startZoneServer("127.0.7.2", port, [{ zone: domain, records: right }])).server;
  const now = () => new Date();
  zones = new Zones({
    resolvers: [resolver],
    port,
    now,
    random: (below) => Math.floor(Math.random() * below),
    timeoutMs,
    tries: 1,
  });
  verifier = new Verifier(zones, { now });
});
afterEach(closeZoneServers);

async function verified(): Promise<Verification> {
  const verification = await verifier.verify({ domain, sets, reverse });
  if ("unknown" in verification) throw new Error(verification.unknown);
  return verification;
}

/** What is not published, with what stands there and where. */
const wrongIn = ({ records }: Verification) =>
  records
    .filter(({ state }) => state !== "Published")
    .map(({ name, type, state, seen, at }) => `${state} ${type} ${name} [${seen.join()}] at ${at.join()}`);

test("all is as it has to be, in other people's words, too", async () => {
  const verification = await verified();
  expect(wrongIn(verification)).toEqual([]);
  expect(verification).toMatchObject({
    zone: domain,
    nameServers: ["ns1.nine.example", "ns2.nine.example"],
    dnssec: "Insecure",
    faults: [],
    reverse: [{ address: "203.0.113.9", state: "Published" }],
  });
});

const serve = (server: ZoneServer, records: Answer[], serial = 1) => {
  server.zones = [{ zone: domain, records, serial }];
};

test.each<{ when: string; records: Answer[]; wrong: string[] }>([
  {
    when: "a record is missing",
    records: without(`MX ${domain}`),
    wrong: [`Missing MX ${domain}. [] at ns2.nine.example`],
  },
  {
    when: "another address stands there",
    records: instead({ type: "A", name: domain, ttl: 60, data: "192.0.2.1" }),
    wrong: [`Different A ${domain}. [192.0.2.1] at ns2.nine.example`],
  },
  {
    when: "another address stands beside",
    records: [...right, { type: "A", name: domain, ttl: 60, data: "192.0.2.1" }],
    wrong: [`Different A ${domain}. [192.0.2.1,203.0.113.9] at ns2.nine.example`],
  },
  {
    when: "the record has another key",
    records: instead(txt(`chatmail._domainkey.${domain}`, "v=DKIM1;k=ed25519;p=")),
    wrong: [`Different TXT chatmail._domainkey.${domain}. ["v=DKIM1;k=ed25519;p="] at ns2.nine.example`],
  },
  {
    when: "the key is there twice",
    records: [...right, txt(`chatmail._domainkey.${domain}`, "v=DKIM1;k=ed25519;p=")],
    wrong: [expect.stringContaining(`Different TXT chatmail._domainkey.${domain}.`)],
  },
  {
    when: "www has the domain's addresses",
    records: [...without(`CNAME www.${domain}`), { type: "A", name: `www.${domain}`, ttl: 60, data: "203.0.113.9" }],
    wrong: [],
  },
  {
    when: "www has another's",
    records: [...without(`CNAME www.${domain}`), { type: "A", name: `www.${domain}`, ttl: 60, data: "192.0.2.1" }],
    wrong: [`Missing CNAME www.${domain}. [] at ns2.nine.example`],
  },
  {
    when: "there are two records of SPF",
    records: [...right, txt(domain, "v=spf1 -all")],
    wrong: [expect.stringContaining(`Different TXT ${domain}.`)],
  },
])("$when at one of two name servers", async ({ records, wrong }) => {
  serve(two, records);
  expect(wrongIn(await verified())).toEqual(wrong);
});

test.each<{ behaviour: Behaviour; says: RegExp }>([
  { behaviour: "silent", says: /^name server ns2\.nine\.example \(127\.0\.7\.2\): it does not answer within 1\.5 s$/ },
  { behaviour: "elsewhere", says: /does not answer within/ },
  { behaviour: "refusing", says: /answers REFUSED: it does not serve the zone, or not for everybody/ },
  { behaviour: "failing", says: /answers SERVFAIL: see its log/ },
  { behaviour: "lame", says: /without authority: it does not serve the zone/ },
  { behaviour: "truncated", says: /truncated, and no answer comes by TCP .*: open port 53 for TCP, too/ },
  { behaviour: "garbled", says: /its answer can't be read/ },
])("one of two name servers is $behaviour: it is named, and the other one counts", async ({ behaviour, says }) => {
  two.behaviour = behaviour;
  const verification = await verified();
  expect(verification.faults).toEqual([expect.stringMatching(says)]);
  expect(wrongIn(verification)).toEqual([]);
  serve(one, without(`MX ${domain}`));
  expect(wrongIn(await verified())).toEqual([`Missing MX ${domain}. [] at ns1.nine.example`]);
});

test("a large answer is fetched by TCP", async () => {
  two.behaviour = "large";
  expect(await verified()).toMatchObject({ faults: [] });
});

test("a server that is behind the other is named", async () => {
  serve(one, right, 7);
  serve(two, right, 5);
  expect((await verified()).faults).toEqual([
    "name server ns2.nine.example (127.0.7.2) is behind: another one has a newer version of the zone",
  ]);
});

test.each<Behaviour>(["silent", "refusing", "failing", "lame"])(
  "both are %s: nothing is known of the records",
  async (behaviour) => {
    for (const server of [one, two]) server.behaviour = behaviour;
    const verification = await verified();
    expect(verification.faults).toHaveLength(2);
    expect(new Set(verification.records.map(({ state }) => state))).toEqual(new Set(["Unknown"]));
  },
);

test("a record that nobody wants, such as an old IPv6 address, is told of where it is there", async () => {
  const unwanted = { name: `${domain}.`, type: "AAAA", values: [], need: "Required" } as const;
  const states = async () => {
    const verification = await verifier.verify({ domain, sets: [unwanted], reverse: [] });
    return "records" in verification ? verification.records.map(({ state, seen }) => ({ state, seen })) : verification;
  };
  expect(await states()).toEqual([]);
  serve(one, [...right, { type: "AAAA", name: domain, ttl: 60, data: "2001:db8::1" }]);
  expect(await states()).toEqual([{ state: "Different", seen: ["2001:db8::1"] }]);
});

test("the zone has moved to another name server: it is found by the delegation", async () => {
  await verified();
  for (const server of [one, two]) server.behaviour = "refusing";
  const moved = [
    { type: "NS", name: domain, ttl: 60, data: "ns.test" },
    { type: "A", name: "ns.test", ttl: 60, data: "127.0.7.3" },
  ] as Answer[];
  root.zones = [
    ...rootZones().filter(({ zone }) => zone !== "example"),
    { zone: "example", records: [{ type: "NS", name: "example", ttl: 60, data: "ns.test" }, ...moved] },
    { zone: domain, records: [...moved, ...right.filter(({ type, name }) => type !== "NS" && !name.startsWith("ns"))] },
  ];
  const later = new Verifier(zones, { now: () => new Date() });
  expect(await later.verify({ domain, sets, reverse })).toMatchObject({ nameServers: ["ns.test"], faults: [] });
});

test("no zone is known: it says so", async () => {
  root.behaviour = "failing";
  expect(await verifier.verify({ domain, sets, reverse })).toEqual({
    unknown: `no resolver knows a name server for ${domain} or a zone above it`,
  });
});

test.each([
  { when: "there is none", data: undefined, is: { state: "Missing" } },
  {
    when: "it is the provider's",
    data: "host-9.provider.example",
    is: { state: "Different", seen: "host-9.provider.example." },
  },
])("the reverse name: $when", async ({ data, is }) => {
  root.zones = rootZones().map((zone) =>
    zone.zone === "in-addr.arpa"
      ? { ...zone, records: data ? [{ type: "PTR", name: "9.113.0.203.in-addr.arpa", ttl: 60, data }] : [] }
      : zone,
  );
  expect((await verified()).reverse).toEqual([{ address: "203.0.113.9", want: `${domain}.`, ...is }]);
});

test.each([
  { when: "our authority may issue", records: [[0, "issue", "ca.example"]], problem: false },
  {
    when: "it may for our account",
    records: [[0, "issue", "ca.example; accounturi=https://ca.example/1"]],
    problem: false,
  },
  {
    when: "it may for another account",
    records: [[0, "issue", "ca.example;accounturi=https://ca.example/2"]],
    problem: true,
  },
  { when: "another one may", records: [[0, "issue", "other.example"]], problem: true },
  {
    when: "ours may, in other words",
    records: [[0, "issue", "CA.example. ; accounturi = https://ca.example/1"]],
    problem: false,
  },
  {
    when: "two accounts are named at once",
    records: [[0, "issue", "ca.example; accounturi=https://ca.example/1; accounturi=https://ca.example/2"]],
    problem: true,
  },
  {
    when: "another and ours may",
    records: [
      [0, "issue", "other.example"],
      [0, "issue", "ca.example"],
    ],
    problem: false,
  },
  { when: "nobody may", records: [[0, "issue", ";"]], problem: true },
  { when: "one is critical and unknown", records: [[128, "strange", "x"]], problem: true },
  { when: "only reports are asked for", records: [[0, "iodef", "mailto:a@b.example"]], problem: false },
  { when: "there are none", records: [], problem: false },
] as const)("CAA records where $when: a problem: $problem", async ({ records, problem }) => {
  const caa = records.map(([flags, tag, value]) => {
    return { type: "CAA", name: domain, ttl: 60, data: { flags, tag, value } } as Answer;
  });
  serve(one, [...right, ...caa]);
  const issuer = { domain: "ca.example", accountURI: "https://ca.example/1" };
  const verification = await verifier.verify({ domain, sets: [], reverse: [], issuer });
  if ("unknown" in verification) throw new Error(verification.unknown);
  expect(verification.issuerProblem !== undefined).toBe(problem);
});

describe("many domains in one zone", () => {
  test("cost one search and one question for the SOA record of each name server", async () => {
    const names = Array.from({ length: 50 }, (_, nth) => `n${nth}.${domain}`);
    const ask = (name: string) =>
      verifier.verify({
        domain: name,
        sets: [{ name: `${name}.`, type: "MX", values: [], need: "Required" }],
        reverse: [],
      });
    await ask(names[0] ?? "");
    const before = { root: root.asked, two: two.asked };
    await Promise.all(names.map(ask));
    expect(root.asked).toBe(before.root);
    // one for the record of each
    expect(two.asked - before.two).toBeLessThanOrEqual(names.length);
  });
});

test.each([
  {
    when: "a name above lets another one issue",
    at: "example",
    value: "other.example",
    problem:
      /^the CAA records of example \(0 issue "other\.example"\) do not let ca\.example issue a certificate: add CAA 0 issue "ca\.example" at nine\.example/,
  },
  {
    when: "a name above lets ours issue",
    at: "example",
    value: "ca.example;accounturi=https://ca.example/1",
    problem: undefined,
  },
])("of CAA records, $when", async ({ at, value, problem }) => {
  const above = root.zones.find(({ zone }) => zone === at);
  if (!above) throw new Error("no zone");
  above.records = [...above.records, { type: "CAA", name: at, ttl: 60, data: { flags: 0, tag: "issue", value } }];
  const find = async () => {
    const verification = await verifier.verify({ domain, sets: [], reverse: [], issuer: { domain: "ca.example" } });
    if ("unknown" in verification) throw new Error(verification.unknown);
    return verification.issuerProblem;
  };
  if (problem) expect(await find()).toMatch(problem);
  else expect(await find()).toBeUndefined();
  // those of the name itself count alone, also where one of its servers does not answer
  one.behaviour = "refusing";
  serve(two, [...right, { type: "CAA", name: domain, ttl: 60, data: { flags: 0, tag: "issue", value: "ca.example" } }]);
  expect(await find()).toBeUndefined();
});

describe("DNSSEC", () => {
  const ds = {
    type: "DS",
    name: domain,
    ttl: 60,
    data: { keyTag: 1, algorithm: 13, digestType: 2, digest: Buffer.alloc(32) },
  } as Answer;
  test.each<{ behaviour: Behaviour; signed: boolean; dnssec: Verification["dnssec"] }>([
    { behaviour: "validating", signed: true, dnssec: "Secure" },
    { behaviour: "bogus", signed: true, dnssec: "Bogus" },
    // a resolver that fails at everything does not say that the zone is wrong
    { behaviour: "failing", signed: true, dnssec: "Signed" },
    { behaviour: "silent", signed: true, dnssec: "Signed" },
    { behaviour: "right", signed: true, dnssec: "Signed" },
    { behaviour: "bogus", signed: false, dnssec: "Insecure" },
  ])(
    "a zone that is signed ($signed), by a resolver that is $behaviour: $dnssec",
    async ({ behaviour, signed, dnssec }) => {
      const above = root.zones.find(({ zone }) => zone === "example");
      if (above && signed) above.records = [...above.records, ds];
      const { server } = await startZoneServer("127.0.7.4", Number(resolver.split(":")[1]), [
        { zone: domain, records: right },
      ]);
      server.behaviour = behaviour;
      const validators = [resolver.replace("127.0.7.3", "127.0.7.4")];
      expect(await verifier.verify({ domain, sets: [], reverse: [], validators })).toMatchObject({ dnssec });
    },
  );
});
