/** RFC 2136 and TSIG against real name servers: BIND and Knot, each with a signed, dynamic zone. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Failure } from "../../src/api/failure.ts";
import { askServer } from "../../src/dns/ask.ts";
import { makeRsaKey, publicDkimKey } from "../../src/dns/dkim-key.ts";
import { publish, type Rfc2136Options, withdraw } from "../../src/dns/providers/rfc2136.ts";
import { type PublishedType, type RecordSet, recordsOf } from "../../src/dns/records.ts";
import type { TsigAlgorithm } from "../../src/dns/tsig.ts";
import { valueText, valueTexts } from "../../src/dns/zone-text.ts";
import {
  type Keys,
  nameServersAreMissing,
  newKey,
  type RealServer,
  startBind,
  startKnot,
} from "../helpers/dns-servers.ts";
import { until } from "../helpers/until.ts";

const missing = nameServersAreMissing();
if (missing) console.warn(`skipped: ${missing}`);

const random = (below: number) => Math.floor(Math.random() * below);
/** Of others, in each zone. */
const theirs = [
  "taken IN A 192.0.2.77",
  'taken IN TXT "some-verification=1" "in two strings"',
  'www.taken IN TXT "not for us"',
  "*.wild IN A 192.0.2.78",
  "*.wild IN MX 5 mx.example.",
].join("\n");

describe.skipIf(missing !== undefined).each([
  { program: "BIND", address: "127.0.9.1", start: startBind, zone: "bind.test" },
  { program: "Knot", address: "127.0.9.2", start: startKnot, zone: "knot.test" },
])("$program", ({ program, address, start, zone }) => {
  const algorithms = ["hmac-sha256", "hmac-sha384", "hmac-sha512"] as const satisfies TsigAlgorithm[];
  const keys: Keys = { writer: newKey("writer"), reader: newKey("reader") };
  let server: RealServer;
  let keyPem: string;

  beforeAll(async () => {
    keyPem = await makeRsaKey();
    server = await start({ address, keys, zones: [{ name: zone, records: theirs, signed: true }] });
  });
  afterAll(() => server?.stop());

  const wantedFor = (domain: string, addresses: readonly string[] = ["203.0.113.9", "2001:db8::9"]): RecordSet[] => {
    const key = publicDkimKey(keyPem);
    return recordsOf({
      domain,
      addresses,
      keys: key ? [{ selector: "chatmail", key }] : [],
      mtaStsPolicy: "version: STSv1",
      issuer: { domain: "ca.example", accountURI: "https://ca.example/acct/1" },
      tlsKeys: ["ab".repeat(32), "cd".repeat(32)],
    });
  };
  const optionsFor = (domain: string, more: Partial<Rfc2136Options> = {}): Rfc2136Options => ({
    domain,
    owners: ["owner-1"],
    ttlSeconds: 300,
    servers: [address],
    key: keys.writer,
    random,
    now: () => new Date(),
    ...more,
  });
  const valuesAt = async (name: string, type: PublishedType): Promise<string[]> => {
    const asked = await askServer({ host: address, port: 53 }, { name, type }, { random, timeoutMs: 4_000, tries: 3 });
    if (!("reply" in asked)) throw new Error(asked.says);
    return asked.reply.answers
      .filter((each) => each.name === name && each.type === type)
      .map(({ value }) => valueText(type as never, value as never))
      .sort();
  };
  const expectPublished = async (wanted: readonly RecordSet[]) => {
    for (const set of wanted)
      expect([set.name, set.type, await valuesAt(set.name, set.type)]).toEqual([
        set.name,
        set.type,
        valueTexts(set).sort(),
      ]);
  };
  const failureOf = async (work: Promise<unknown>): Promise<Failure> => {
    const thrown = await work.then(
      () => undefined,
      (error: unknown) => error,
    );
    if (thrown instanceof Failure) return thrown;
    throw new Error(`no Failure: ${String(thrown)}`, { cause: thrown });
  };

  test("all records of a domain in one message, and nothing the second time", async () => {
    const domain = `nine.${zone}`;
    const wanted = wantedFor(domain);
    const first = await publish(wanted, optionsFor(domain));
    expect(first).toMatchObject({ zone, server: address, notOurs: [] });
    await expectPublished(wanted);
    expect(await publish(wanted, optionsFor(domain))).toMatchObject({ changed: 0, notOurs: [] });
  });

  test.each(algorithms)("signed with %s", async (algorithm) => {
    const domain = `by-${algorithm}.${zone}`;
    const own: Keys = { writer: newKey("writer", algorithm), reader: newKey("reader", algorithm) };
    const other = await start({ address: address.replace("127.0.9", "127.0.19"), keys: own, zones: [{ name: zone }] });
    try {
      const result = await publish(
        wantedFor(domain),
        optionsFor(domain, { key: own.writer, servers: [other.address] }),
      );
      expect(result.changed).toBeGreaterThan(10);
    } finally {
      await other.stop();
    }
  });

  test("other addresses take the place of the old ones; what is not wanted any more is deleted", async () => {
    const domain = `moves.${zone}`;
    await publish(wantedFor(domain), optionsFor(domain));
    const moved = wantedFor(domain, ["203.0.113.10"]).filter(({ name }) => !name.startsWith("mta-sts."));
    await publish(moved, optionsFor(domain, { ttlSeconds: 60 }));
    await expectPublished(moved);
    expect(await valuesAt(`${domain}.`, "AAAA")).toEqual([]);
    expect(await valuesAt(`mta-sts.${domain}.`, "CNAME")).toEqual([]);
  });

  test("the domain may be the zone itself", async () => {
    const wanted = wantedFor(zone);
    await publish(wanted, optionsFor(zone));
    await expectPublished(wanted);
    expect(await withdraw("routes", optionsFor(zone))).toMatchObject({ routesUntil: expect.any(Date) });
  });

  test("what others have written stays; it is named, and all else is published", async () => {
    const domain = `taken.${zone}`;
    const wanted = wantedFor(domain);
    const { notOurs } = await publish(wanted, optionsFor(domain));
    expect(notOurs).toEqual([
      { name: `${domain}.`, type: "A", seen: ["192.0.2.77"] },
      { name: `www.${domain}.`, type: "CNAME", seen: ["another record"] },
    ]);
    expect(await valuesAt(`${domain}.`, "A")).toEqual(["192.0.2.77"]);
    expect(await valuesAt(`${domain}.`, "TXT")).toEqual(['"some-verification=1in two strings"', '"v=spf1 a ~all"']);
    expect(await valuesAt(`www.${domain}.`, "TXT")).toEqual(['"not for us"']);
    expect(await valuesAt(`${domain}.`, "MX")).toEqual([`10 ${domain}.`]);
    await withdraw("routes", optionsFor(domain));
    await withdraw("all", optionsFor(domain));
    expect(await valuesAt(`${domain}.`, "A")).toEqual(["192.0.2.77"]);
    expect(await valuesAt(`${domain}.`, "TXT")).toEqual(['"some-verification=1in two strings"']);
    expect(await valuesAt(`${domain}.`, "AAAA")).toEqual([]);
  });

  test("a wildcard of others is in nobody's way", async () => {
    const domain = `nine.wild.${zone}`;
    const wanted = wantedFor(domain, ["203.0.113.9"]);
    expect(await publish(wanted, optionsFor(domain))).toMatchObject({ notOurs: [] });
    await expectPublished(wanted);
  });

  test("withdrawn: the MX record first, then the rest; each is safe to repeat", async () => {
    const domain = `leaves.${zone}`;
    const wanted = wantedFor(domain);
    await publish(wanted, optionsFor(domain));
    const first = await withdraw("routes", optionsFor(domain));
    expect(first.routesUntil).toBeInstanceOf(Date);
    expect(await valuesAt(`${domain}.`, "MX")).toEqual([]);
    expect(await valuesAt(`${domain}.`, "A")).toEqual(["203.0.113.9"]);
    expect(await withdraw("routes", optionsFor(domain))).toEqual(first);
    expect(await withdraw("all", optionsFor(domain))).toEqual({});
    for (const { name, type } of wanted) expect([name, type, await valuesAt(name, type)]).toEqual([name, type, []]);
    expect(await valuesAt(`_chatmail-owner.${domain}.`, "TXT")).toEqual([]);
    for (const part of ["routes", "all"] as const) expect(await withdraw(part, optionsFor(domain))).toEqual({});
  });

  test("two at the same moment: both end with all records, once", async () => {
    const domain = `both.${zone}`;
    const wanted = wantedFor(domain);
    await Promise.all([publish(wanted, optionsFor(domain)), publish(wanted, optionsFor(domain))]);
    await expectPublished(wanted);
  });

  test("the records of another operator are left alone", async () => {
    const domain = `others.${zone}`;
    await publish(wantedFor(domain), optionsFor(domain, { owners: ["owner-2"] }));
    const { reason, message } = await failureOf(publish(wantedFor(domain), optionsFor(domain)));
    expect(reason).toBe("DnsOwnedByOther");
    expect(message).toContain(`_chatmail-owner.${domain}.`);
    expect(await failureOf(withdraw("all", optionsFor(domain)))).toMatchObject({ reason: "DnsOwnedByOther" });
    // a key that was rotated is still known
    await publish(wantedFor(domain), optionsFor(domain, { owners: ["owner-3", "owner-2"] }));
    expect((await valuesAt(`_chatmail-owner.${domain}.`, "TXT")).join()).toContain("owner=owner-3 ");
  });

  test.each<{ when: string; options: Partial<Rfc2136Options>; reason: string; says: RegExp }>([
    {
      when: "the key is unknown there",
      options: { key: newKey("nobody") },
      reason: "TsigKeyUnknown",
      says: /does not know the TSIG key nobody with hmac-sha256 \(BADKEY\).*: add the key there/,
    },
    {
      when: "the secret is another",
      options: { key: { ...keys.writer, secret: Buffer.from("another") } },
      reason: "TsigSecretWrong",
      says: /has another secret for the TSIG key writer \(BADSIG\)/,
    },
    {
      when: "the clock is ten minutes ahead",
      options: { now: () => new Date(Date.now() + 600_000) },
      reason: "TsigTimeWrong",
      says: /a clock that is (59[0-9]|6[0-9]{2}) s behind the operator's \(BADTIME\)/,
    },
    {
      when: "the clock is ten minutes behind",
      options: { now: () => new Date(Date.now() - 600_000) },
      reason: "TsigTimeWrong",
      says: /a clock that is (59[0-9]|6[0-9]{2}) s ahead of the operator's/,
    },
    {
      when: "the key may not write",
      options: { key: keys.reader },
      reason: program === "Knot" ? "TsigKeyUnknown" : "DnsUpdateRefused",
      says: /answers REFUSED to updates of zone .* with the TSIG key reader: allow them|key reader .*or does not let it/,
    },
    {
      when: "the server has no such zone",
      options: { domain: "nine.elsewhere.example" },
      reason: "DnsUpdateRefused",
      says: /answers (REFUSED|NOTAUTH)/,
    },
    {
      when: "the zone that is named is below",
      options: { zone: `deep.${zone}` },
      reason: "DnsZoneNotServed",
      says: /serves zone .*, and no zone deep\..*: correct dns\.rfc2136\.zone, or leave it out/,
    },
    {
      when: "nobody answers",
      options: { servers: ["127.0.9.99"], timeoutMs: 500 },
      reason: "DnsServerUnreachable",
      says: /127\.0\.9\.99: /,
    },
  ])("$when: $reason", async ({ options, reason, says }) => {
    const domain = options.domain ?? `fails.${zone}`;
    const failure = await failureOf(publish(wantedFor(domain), optionsFor(domain, options)));
    expect([failure.reason, failure.message]).toEqual([reason, expect.stringMatching(says)]);
    expect(failure.message).not.toContain(keys.writer.secret.toString("base64"));
    expect(await valuesAt(`fails.${zone}.`, "A")).toEqual([]);
  });

  test("of two servers the first is down: the second takes it", async () => {
    const domain = `second.${zone}`;
    const result = await publish(
      wantedFor(domain),
      optionsFor(domain, { servers: ["127.0.9.99", address], timeoutMs: 2_000 }),
    );
    expect(result.server).toBe(address);
  });

  test("the zone stays signed", async () => {
    const ds = await until("its keys", () => server.ds(zone));
    expect(ds).toMatch(/ DS \d+ 13 2 [0-9A-Fa-f ]{64}/);
  });
});
