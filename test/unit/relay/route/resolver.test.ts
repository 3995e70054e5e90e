/**
 * RFC 1034 promises no order of the records of an answer: what stands behind aliases is found in
 * any.
 */
import { afterEach, describe, expect, test } from "vitest";
import { createRouteResolver } from "../../../../src/relay/route/resolver.ts";
import {
  closeNameServers,
  name,
  nameServer,
  questionName,
  record,
  reply,
  txt,
  type,
} from "../../../helpers/name-server.ts";

afterEach(closeNameServers);

const address = Buffer.from([192, 0, 2, 7]);
const exchanger = Buffer.concat([Buffer.from([0, 10]), name("mx.three.test")]);
const aliases = [
  record(questionName, type.cname, 60, name("two.test")),
  record(name("two.test"), type.cname, 60, name("three.test")),
];
const last = {
  [type.a]: record(name("three.test"), type.a, 60, address),
  [type.mx]: record(name("three.test"), type.mx, 60, exchanger),
  [type.txt]: record(name("three.test"), type.txt, 60, txt("v=STSv1; id=1;")),
};

/** Of the question in a query. */
const typeOf = (query: Buffer) => query.readUInt16BE(query.indexOf(0, 12) + 1);

describe.each([
  { what: "in order", order: [0, 1, 2] },
  { what: "the second alias first", order: [1, 0, 2] },
  { what: "the record before its aliases", order: [2, 1, 0] },
  { what: "the record between them", order: [1, 2, 0] },
  { what: "the record first", order: [2, 0, 1] },
])("two aliases, $what", ({ order }) => {
  const resolver = async () => {
    const server = await nameServer((query) => {
      const record = last[typeOf(query)];
      const answers = order.flatMap((at) => [...aliases, ...(record ? [record] : [])][at] ?? []);
      return [reply(query, { answers: record ? answers : [] })];
    });
    return createRouteResolver({ servers: [server] });
  };

  test("MX", async () => {
    expect(await (await resolver()).exchangers("one.test")).toEqual({ kind: "hosts", hosts: ["mx.three.test"] });
  });

  test("TXT", async () => {
    expect(await (await resolver()).texts("one.test")).toEqual(["v=STSv1; id=1;"]);
  });

  test("A", async () => {
    const { lookup } = await resolver();
    const found = await new Promise((done, fail) =>
      lookup("one.test", { all: true }, (error, all) => (error ? fail(error) : done(all))),
    );
    expect(found).toEqual([{ address: "192.0.2.7", family: 4 }]);
  });
});

test.each([
  { what: "both families, of 4", asks: ["A", "AAAA"], family: 4, finds: ["192.0.2.7"] },
  { what: "both families, of 6", asks: ["A", "AAAA"], family: 6, finds: ["2001:db8::7"] },
  { what: "both families, of any", asks: ["A", "AAAA"], family: undefined, finds: ["2001:db8::7", "192.0.2.7"] },
  { what: "IPv4 alone, of 6", asks: ["A"], family: 6, finds: ["192.0.2.7"] },
] as const)("of a host with $what it has $finds", async ({ asks, family, finds }) => {
  const records = {
    A: [type.a, address],
    AAAA: [type.aaaa, Buffer.from("20010db8000000000000000000000007", "hex")],
  } as const;
  const server = await nameServer((query) => {
    const found = asks.map((each) => records[each]).filter(([asked]) => asked === typeOf(query));
    return [reply(query, { answers: found.map(([kind, data]) => record(questionName, kind, 60, data)) })];
  });
  const { lookup } = createRouteResolver({ servers: [server], family: () => family });
  const found = await new Promise<readonly { address: string }[]>((done, fail) =>
    lookup("one.test", { all: true }, (error, all) => (error ? fail(error) : done(all as { address: string }[]))),
  );
  expect(found.map((each) => each.address)).toEqual(finds);
});

test("aliases in a circle are no address, and end", async () => {
  const circle = [aliases[0], record(name("two.test"), type.cname, 60, questionName)].flatMap((each) => each ?? []);
  const resolver = createRouteResolver({ servers: [await nameServer((query) => [reply(query, { answers: circle })])] });
  expect(await resolver.texts("one.test")).toEqual([]);
  expect(await resolver.exchangers("one.test")).toMatchObject({ kind: expect.stringMatching(/hosts|none|failed/) });
});
