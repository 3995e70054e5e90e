/** The lookup against a name server that speaks the wire, with every fault that one can have. */
import { afterEach, expect, test } from "vitest";
import { createLookup } from "../../../src/dns/lookup.ts";
import { parseResponse, type RecordType, renderQuery } from "../../../src/dns/message.ts";
import { DnsFormatError } from "../../../src/dns/wire.ts";
import {
  closeNameServers,
  name,
  nameServer,
  questionName,
  type Reply,
  record,
  reply,
  soa,
  txt,
  type,
} from "../../helpers/name-server.ts";
import { seededRandom } from "../../helpers/seeded-random.ts";

afterEach(closeNameServers);

const allAt = (...servers: string[]) =>
  createLookup({ servers, random: (below) => Math.floor(Math.random() * below), timeoutMs: 500, rounds: 2 });
const lookupAt =
  (...servers: string[]) =>
  (name: string) =>
    allAt(...servers)(name, "TXT");
const asked = "s._domainkey.nine.example";
const question = { id: 7, name: asked, type: "TXT" } as const;
const query = renderQuery(question) as Buffer;

const aliasRecords = [
  record(questionName, type.cname, 60, name("b.example")),
  record(name("b.example"), type.cname, 40, name("c.example")),
  record(name("c.example"), type.txt, 300, txt("a")),
];
const aliasOrders = [
  { what: "in order", order: [0, 1, 2] },
  { what: "the second alias first", order: [1, 0, 2] },
  { what: "the record before its aliases", order: [2, 1, 0] },
  { what: "the record between them", order: [1, 2, 0] },
];

test.each<{ what: string; answer: Reply; is: object }>([
  {
    what: "one record of several strings",
    answer: { answers: [record(questionName, type.txt, 300, txt("v=DKIM1;", "p=a\xe9"))] },
    is: { kind: "found", records: ["v=DKIM1;p=a\xe9"], ttlSeconds: 300 },
  },
  {
    what: "two records, the shorter TTL",
    answer: { answers: [record(questionName, type.txt, 300, txt("a")), record(questionName, type.txt, 20, txt("b"))] },
    is: { kind: "found", records: ["a", "b"], ttlSeconds: 20 },
  },
  {
    what: "an alias, and the shorter TTL",
    answer: {
      answers: [
        record(questionName, type.cname, 60, name("X.other.example")),
        record(name("x.Other.example"), type.txt, 300, txt("a")),
      ],
    },
    is: { kind: "found", records: ["a"], ttlSeconds: 60 },
  },
  ...aliasOrders.map(({ what, order }) => ({
    what: `two aliases, ${what}`,
    answer: { answers: order.map((at) => aliasRecords[at] as Buffer) },
    is: { kind: "found" as const, records: ["a"], ttlSeconds: 40 },
  })),
  {
    what: "aliases that go round in a circle",
    answer: {
      answers: [
        record(questionName, type.cname, 60, name("b.example")),
        record(name("b.example"), type.cname, 60, questionName),
      ],
    },
    is: { kind: "none", ttlSeconds: 30 },
  },
  {
    what: "records of other names and kinds",
    answer: {
      answers: [
        record(name("other.example"), type.txt, 1, txt("x")),
        record(questionName, type.a, 1, Buffer.alloc(4)),
        record(questionName, type.txt, 9, txt("a")),
      ],
    },
    is: { kind: "found", records: ["a"], ttlSeconds: 9 },
  },
  {
    what: "a TTL with its highest bit set",
    answer: { answers: [record(questionName, type.txt, 2 ** 31, txt("a"))] },
    is: { kind: "found", ttlSeconds: 0 },
  },
  {
    what: "no such name",
    answer: { code: 3, authorities: [record(name("example"), type.soa, 900, soa(60))] },
    is: { kind: "none", ttlSeconds: 60 },
  },
  {
    what: "no TXT at the name",
    answer: { authorities: [record(name("example"), type.soa, 30, soa(600))] },
    is: { kind: "none", ttlSeconds: 30 },
  },
  {
    what: "no TXT at the name, and a record of another class",
    answer: {
      answers: [record(questionName, type.txt, 5, txt("a"), 3)],
      authorities: [record(name("example"), type.soa, 30, soa(600))],
    },
    is: { kind: "none", ttlSeconds: 30 },
  },
  {
    what: "two names that differ in octets which are no text",
    answer: {
      answers: [
        record(questionName, type.cname, 60, name("\xfe.example")),
        record(name("\xff.example"), type.txt, 60, txt("a")),
      ],
    },
    is: { kind: "none" },
  },
  { what: "nothing at all", answer: {}, is: { kind: "none", ttlSeconds: 30 } },
  { what: "SERVFAIL", answer: { code: 2 }, is: { kind: "failed", why: "name server answered SERVFAIL" } },
  { what: "REFUSED", answer: { code: 5 }, is: { kind: "failed", why: "name server answered REFUSED" } },
])("$what", async ({ answer, is }) => {
  const server = await nameServer((query) => [reply(query, answer)]);
  expect(await lookupAt(server)(asked)).toMatchObject(is);
});

test.each([
  { code: 5, is: { kind: "failed", why: "name server answered REFUSED" } },
  // who says so of a name has to say of which
  { code: 3, is: { kind: "failed", why: "name server: no answer" } },
])("an answer of code $code that leaves the question out", async ({ code, is }) => {
  const head = (query: Buffer) => {
    const bytes = Buffer.alloc(12);
    query.copy(bytes, 0, 0, 2);
    bytes.writeUInt16BE(0x8000 | code, 2);
    return bytes;
  };
  const server = await nameServer((query) => [head(query)]);
  const lookup = createLookup({ servers: [server], random: () => 7, timeoutMs: 200, rounds: 1 });
  expect(await lookup(asked, "TXT")).toEqual(is);
});

const good = (query: Buffer) => reply(query, { answers: [record(questionName, type.txt, 300, txt("good"))] });
const found = { kind: "found", secure: false, name: asked, records: ["good"], ttlSeconds: 300 };

test("records of an exchanger, with the name at their end by pointer", async () => {
  const answers = [
    record(questionName, type.mx, 60, Buffer.concat([Buffer.from([0, 10, 2]), Buffer.from("MX"), questionName])),
    record(questionName, type.mx, 60, Buffer.from([0, 0, 0])),
  ];
  const server = await nameServer((query) => [reply(query, { answers })]);
  const records = [
    { preference: 10, host: "mx.nine.example" },
    { preference: 0, host: "" },
  ];
  expect(await allAt(server)("nine.example", "MX")).toMatchObject({ kind: "found", secure: false, records });
});

test("which certificate a server has, and the word of the resolver that this was validated", async () => {
  const answers = [
    record(questionName, type.cname, 60, name("x.example")),
    record(name("x.example"), type.tlsa, 60, Buffer.concat([Buffer.from([3, 1, 1]), Buffer.alloc(32)])),
  ];
  const server = await nameServer((query) => {
    // asked for with AD (RFC 6840 §5.7)
    return [reply(query, { validated: (query.readUInt16BE(2) & 0x20) !== 0, answers })];
  });
  const records = [{ usage: 3, selector: 1, matching: 1, bytes: 32 }];
  expect(await allAt(server)(asked, "TLSA")).toEqual({
    kind: "found",
    secure: true,
    name: "x.example",
    records,
    ttlSeconds: 60,
  });
  const none = await nameServer((query) => [reply(query, { code: 3, validated: true })]);
  expect(await allAt(none)(asked, "TLSA")).toMatchObject({ kind: "none", secure: true });
  const short = await nameServer((query) => [
    reply(query, { answers: [record(questionName, type.tlsa, 60, Buffer.from([3, 1]))] }),
  ]);
  expect(await allAt(short)(asked, "TLSA")).toMatchObject({ kind: "failed" });
});

test("what does not fit a datagram is fetched by TCP", async () => {
  const server = await nameServer((query, by) => [by === "udp" ? reply(query, { truncated: true }) : good(query)]);
  expect(await lookupAt(server)(asked)).toEqual(found);
});

test("answers to other questions are passed over", async () => {
  const server = await nameServer((query) => {
    const otherId = good(query);
    otherId.writeUInt16BE(query.readUInt16BE(0) ^ 1, 0);
    const otherName = good(query);
    otherName.write("t", 13, "latin1");
    const notAnAnswer = good(query);
    notAnAnswer.writeUInt16BE(0x0100, 2);
    return [otherId, otherName, notAnAnswer, Buffer.alloc(3), good(query)];
  });
  expect(await lookupAt(server)(asked)).toEqual(found);
});

test("a lost datagram is asked for again", async () => {
  const server = await nameServer((query, _, count) => (count === 0 ? [] : [good(query)]));
  expect(await lookupAt(server)(asked)).toEqual(found);
});

test("the next server is asked when one is closed, silent or broken", async () => {
  const closed = await nameServer(() => []);
  await closeNameServers();
  const broken = await nameServer((query) => [good(query).subarray(0, -3)]);
  const working = await nameServer((query) => [good(query)]);
  expect(await lookupAt(closed, broken, working)(asked)).toEqual(found);
  expect(await lookupAt(closed)(asked)).toMatchObject({ kind: "failed", why: expect.stringContaining("ECONNREFUSED") });
  expect(await lookupAt(broken)(asked)).toEqual({ kind: "failed", why: "name server: DNS record ends early" });
});

test("silence is a failure and no answer", async () => {
  const server = await nameServer(() => []);
  expect(await lookupAt(server)(asked)).toEqual({ kind: "failed", why: "name server: no answer" });
  expect(await lookupAt()(asked)).toMatchObject({ kind: "failed" });
});

test("TCP that ends early or is cut again is a failure", async () => {
  const early = await nameServer((query, by) => [by === "udp" ? reply(query, { truncated: true }) : Buffer.alloc(2)]);
  expect(await lookupAt(early)(asked)).toMatchObject({ kind: "failed" });
  const cut = await nameServer((query) => [reply(query, { truncated: true })]);
  expect(await lookupAt(cut)(asked)).toEqual({ kind: "failed", why: "name server cuts its answer short" });
});

test.each(["a..example", `${"a".repeat(64)}.example`, `${"a.".repeat(130)}example`])(
  "%s can't be asked for",
  async (bad) => {
    expect(await lookupAt("127.0.0.1:1")(bad)).toEqual({ kind: "none", secure: false, ttlSeconds: 0 });
  },
);

test.each([
  { what: "a pointer to itself", owner: Buffer.from([0xc0, 43]) },
  { what: "a pointer forwards", owner: Buffer.from([0xc0, 200]) },
  { what: "a label of a kind that does not exist", owner: Buffer.from([0x41, 0x61, 0]) },
])("a name with $what is refused", ({ owner }) => {
  const bytes = reply(query, { answers: [record(owner, type.txt, 300, txt("x"))] });
  expect(() => parseResponse(bytes, question)).toThrow(DnsFormatError);
});

const lines = (count: number, each: Buffer) => Array<Buffer>(count).fill(each);
/**
 * A record of an unknown type with pointers that lead to pointers, and an owner that is the last of
 * them.
 */
function pointers(): { chain: Buffer; owner: Buffer } {
  const start = query.length - 11 + 12;
  const data = Buffer.alloc(12_000);
  for (let at = 0; at < data.length; at += 2) data.writeUInt16BE(0xc000 | (at === 0 ? 12 : start + at - 2), at);
  const owner = Buffer.alloc(2);
  owner.writeUInt16BE(0xc000 | (start + data.length - 2));
  return { chain: record(questionName, 999, 60, data), owner };
}

test.each<{ what: string; answers: Buffer[]; ask?: RecordType }>([
  { what: "strings that run past their record", answers: [record(questionName, type.txt, 60, Buffer.from([9, 97]))] },
  {
    what: "a record shorter than its type",
    answers: [record(questionName, type.mx, 60, Buffer.from([0, 1]))],
    ask: "MX",
  },
  {
    what: "a record longer than its type",
    answers: [record(questionName, type.mx, 60, Buffer.from([0, 1, 1, 97, 0, 0]))],
    ask: "MX",
  },
  {
    what: "an address of another length",
    answers: [record(questionName, type.a, 60, Buffer.alloc(5))],
    ask: "A",
  },
  { what: "an alias that is no name", answers: [record(questionName, type.cname, 60, Buffer.from([7, 97]))] },
  { what: "more records than anybody has", answers: lines(501, record(questionName, type.txt, 60, txt("a"))) },
  {
    what: "a name of thousands of pointers",
    answers: [pointers().chain, record(pointers().owner, type.txt, 60, txt("a"))],
  },
  {
    what: "an alias of thousands of pointers",
    answers: [pointers().chain, record(questionName, type.cname, 60, pointers().owner)],
  },
])("$what is refused", ({ answers, ask = "TXT" }) => {
  const asking = { ...question, type: ask };
  const bytes = reply(renderQuery(asking) as Buffer, { answers });
  expect(() => parseResponse(bytes, asking)).toThrow(DnsFormatError);
});

test("what nobody asked for is not read", () => {
  const { chain, owner } = pointers();
  const answers = [
    chain,
    ...lines(4000, record(owner, type.a, 60, Buffer.alloc(0))),
    record(questionName, type.txt, 60, txt("a")),
  ];
  expect(parseResponse(reply(query, { answers }), question)).toMatchObject({ kind: "found", records: ["a"] });
});

test("random bytes give an answer, none or a format error, and end", () => {
  const seed = Date.now() % 1_000_000;
  const random = seededRandom(seed);
  const answers = [
    record(questionName, type.cname, 60, name("x.example")),
    record(name("x.example"), type.txt, 60, txt("a", "b")),
  ];
  const bytes = reply(query, { answers, authorities: [record(questionName, type.soa, 60, soa(60))] });
  for (let round = 0; round < 20_000; round++) {
    const changed = Buffer.from(bytes);
    for (let left = 1 + random() * 3; left > 0; left--) changed[Math.floor(random() * changed.length)] = random() * 256;
    try {
      parseResponse(changed.subarray(0, random() < 0.2 ? random() * changed.length : undefined), question);
    } catch (thrown) {
      if (!(thrown instanceof DnsFormatError)) throw new Error(`seed ${seed}`, { cause: thrown });
    }
  }
});
