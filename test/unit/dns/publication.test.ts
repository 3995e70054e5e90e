/** What an update changes, and what it leaves alone. */
import { describe, expect, test } from "vitest";
import {
  type FoundSet,
  type Ownership,
  ownershipText,
  planPublication,
  planWithdrawal,
  readOwnership,
  textsOf,
} from "../../../src/dns/publication.ts";
import { type RecordSet, recordsOf } from "../../../src/dns/records.ts";
import type { Change, Prerequisite } from "../../../src/dns/update.ts";
import { dataOf } from "../../../src/dns/values.ts";
import { valueText } from "../../../src/dns/zone-text.ts";

const domain = "nine.example";
const owners = ["abc"] as const;
const ttlSeconds = 300;
const wanted = recordsOf({ domain, addresses: ["203.0.113.9"], keys: [] }).filter(
  ({ name, type }) => (name === `${domain}.` && type !== "SRV") || name.startsWith("www."),
);

const found = (name: string, type: RecordSet["type"], values: unknown[], ttl = ttlSeconds): FoundSet => ({
  name,
  type,
  values: values as FoundSet["values"],
  data: values.map((value) => dataOf(type, value as never)),
  ttlSeconds: ttl,
});

const changeTexts = (changes: readonly Change[]) =>
  changes.map(
    (each) => `${each.change} ${each.name} ${each.type} ${valueText(each.type as never, each.value as never)}`,
  );
const needTexts = (prerequisites: readonly Prerequisite[]) =>
  prerequisites.map((each) => `${each.is} ${each.name} ${"type" in each ? each.type : ""}`.trim());

/** The zone after an update, as a server would have it: by the changes alone. */
function after(before: readonly FoundSet[], changes: readonly Change[]): FoundSet[] {
  const sets = new Map(before.map((set) => [`${set.name} ${set.type}`, set]));
  for (const { change, name, type, value } of changes) {
    const key = `${name} ${type}`;
    const text = valueText(type as never, value as never);
    const rest = (sets.get(key)?.values ?? []).filter((each) => valueText(type as never, each as never) !== text);
    sets.set(key, found(name, type, change === "add" ? [...rest, value] : rest));
  }
  return [...sets.values()].filter(({ values }) => values.length > 0);
}

const ownershipIn = (zone: readonly FoundSet[]): Ownership | undefined =>
  zone
    .filter(({ name }) => name.startsWith("_chatmail-owner."))
    .flatMap(textsOf)
    .map((text) => readOwnership(text, domain))[0];

const plan = (zone: readonly FoundSet[], want: readonly RecordSet[] = wanted, more: { ttlSeconds?: number } = {}) =>
  planPublication({ domain, owners, wanted: want, found: zone, ownership: ownershipIn(zone), ttlSeconds, ...more });

const published = after([], plan([]).changes);

describe("an empty zone", () => {
  test("gets all, addresses before the MX record that needs them, and who wrote it", () => {
    const { changes, notOurs } = plan([]);
    expect(notOurs).toEqual([]);
    expect(changeTexts(changes)).toEqual([
      `add ${domain}. A 203.0.113.9`,
      `add ${domain}. MX 10 ${domain}.`,
      `add www.${domain}. CNAME ${domain}.`,
      `add ${domain}. TXT "v=spf1 a ~all"`,
      expect.stringMatching(/^add _chatmail-owner\.nine\.example\. TXT "owner=abc @\/A=[0-9a-f]{12} @\/MX=/),
    ]);
  });

  test("has to be empty still, and no CNAME record may stand where others are added", () => {
    expect(needTexts(plan([]).prerequisites)).toEqual([
      `absent ${domain}. A`,
      `absent ${domain}. CNAME`,
      `absent ${domain}. MX`,
      `absent ${domain}. CNAME`,
      `unused www.${domain}.`,
      `absent ${domain}. TXT`,
      `absent ${domain}. CNAME`,
      `absent _chatmail-owner.${domain}. TXT`,
      `absent _chatmail-owner.${domain}. CNAME`,
    ]);
  });

  test("published once, nothing is left to do", () => expect(plan(published).changes).toEqual([]));
});

test("another address: the old one goes, only if it is still what was read", () => {
  const moved = recordsOf({ domain, addresses: ["203.0.113.10"], keys: [] }).filter(({ type }) => type === "A");
  const { changes, prerequisites } = plan(published, [...moved, ...wanted.filter(({ type }) => type !== "A")]);
  expect(changeTexts(changes)).toEqual([
    `delete ${domain}. A 203.0.113.9`,
    `add ${domain}. A 203.0.113.10`,
    expect.stringMatching(/^delete _chatmail-owner/),
    expect.stringMatching(/^add _chatmail-owner/),
  ]);
  expect(needTexts(prerequisites)).toEqual([`exactly ${domain}. A`, `exactly _chatmail-owner.${domain}. TXT`]);
});

test("a set that is not wanted any more is deleted", () => {
  const { changes } = plan(
    published,
    wanted.filter(({ type }) => type !== "CNAME"),
  );
  expect(changeTexts(changes)[0]).toBe(`delete www.${domain}. CNAME ${domain}.`);
});

test("another TTL is written", () => {
  const { changes } = plan(published, wanted, { ttlSeconds: 60 });
  expect(changeTexts(changes)).toEqual(
    wanted.flatMap(({ name, type, values }) =>
      values.map((value) => `add ${name} ${type} ${valueText(type as never, value as never)}`),
    ),
  );
});

test.each<{ when: string; there: FoundSet; notOurs: string[] }>([
  { when: "an address", there: found(`${domain}.`, "A", ["192.0.2.1"]), notOurs: ["A: 192.0.2.1"] },
  {
    when: "an MX record",
    there: found(`${domain}.`, "MX", [{ preference: 5, host: "mx.example.net." }]),
    notOurs: ["MX: 5 mx.example.net."],
  },
  {
    when: "another alias",
    there: found(`www.${domain}.`, "CNAME", ["web.example."]),
    notOurs: ["CNAME: web.example."],
  },
  { when: "another SPF record", there: found(`${domain}.`, "TXT", ["v=spf1 -all"]), notOurs: ['TXT: "v=spf1 -all"'] },
  {
    when: "an alias at the domain",
    there: found(`${domain}.`, "CNAME", ["a.example."]),
    notOurs: ["A: CNAME a.example.", "MX: CNAME a.example.", "TXT: CNAME a.example."],
  },
  { when: "other texts", there: found(`${domain}.`, "TXT", ["some-verification=1"]), notOurs: [] },
])("$when of somebody else is left alone, and all else is published", ({ there, notOurs }) => {
  const { changes, notOurs: said } = plan([there]);
  expect(said.map(({ type, seen }) => `${type}: ${seen.join()}`)).toEqual(notOurs);
  expect(changes.filter(({ change }) => change === "delete")).toEqual([]);
  const zone = after([there], changes);
  expect(zone.find(({ name, type }) => name === there.name && type === there.type)?.values).toEqual(
    expect.arrayContaining([...there.values]),
  );
  expect(changes.length).toBe(wanted.length - notOurs.length + 1);
  expect(plan(zone).changes).toEqual([]);
});

test("what somebody else has published the same way is not ours, and is never deleted", () => {
  const theirs = found(`${domain}.`, "A", ["203.0.113.9"]);
  const zone = after([theirs], plan([theirs]).changes);
  expect(ownershipIn(zone)?.digests.has(`${domain}. A`)).toBe(false);
  const left = planWithdrawal({
    domain,
    owners,
    ttlSeconds,
    ownership: ownershipIn(zone),
    found: zone,
    nowSeconds: 0,
    part: "all",
  });
  expect(after(zone, left.changes)).toEqual([theirs]);
});

test("somebody changes our record by hand: it is theirs from then on", () => {
  const zone = published.map((set) => (set.type === "A" ? found(set.name, "A", ["192.0.2.1"]) : set));
  const { changes, notOurs } = plan(zone);
  expect(notOurs).toMatchObject([{ type: "A", seen: ["192.0.2.1"] }]);
  expect(changeTexts(changes).filter((each) => each.includes(" A "))).toEqual([]);
});

test("a name at which something unreadable stands gets no alias", () => {
  const plan = planPublication({
    domain,
    owners,
    wanted,
    found: [],
    ownership: undefined,
    ttlSeconds,
    inUse: new Set([`www.${domain}.`]),
  });
  expect(plan.notOurs).toEqual([{ name: `www.${domain}.`, type: "CNAME", seen: ["another record"] }]);
  expect(needTexts(plan.prerequisites)).not.toContain(`unused www.${domain}.`);
});

describe("withdrawal", () => {
  const at = (nowSeconds: number, zone: readonly FoundSet[], part: "routes" | "all") =>
    planWithdrawal({ domain, owners, ttlSeconds, ownership: ownershipIn(zone), found: zone, nowSeconds, part });

  test("the MX record alone: the zone remembers until when others may; repeated, nothing is sent", () => {
    const first = at(1_000, published, "routes");
    expect(first.routesUntil).toBe(1_000 + ttlSeconds);
    const zone = after(published, first.changes);
    expect(zone.map(({ type }) => type)).not.toContain("MX");
    expect(zone).toHaveLength(published.length - 1);
    expect(at(1_200, zone, "routes")).toEqual({ prerequisites: [], changes: [], routesUntil: 1_000 + ttlSeconds });
    expect(after(zone, at(1_300, zone, "all").changes)).toEqual([]);
    for (const part of ["routes", "all"] as const)
      expect(at(1_400, [], part)).toEqual({ prerequisites: [], changes: [] });
  });

  test("all at once", () => {
    const all = at(1_000, published, "all");
    expect(all.routesUntil).toBeUndefined();
    expect(after(published, all.changes)).toEqual([]);
  });

  test("an MX record of somebody else is none of ours to remove, or to wait for", () => {
    const theirs = published.map((set) =>
      set.type === "MX" ? found(`${domain}.`, "MX", [{ preference: 5, host: "mx.example.net." }]) : set,
    );
    expect(at(1_000, theirs, "routes")).toEqual({ prerequisites: [], changes: [] });
    expect(after(theirs, at(1_000, theirs, "all").changes)).toEqual(theirs.filter(({ type }) => type === "MX"));
  });

  test("a server that is created again meanwhile takes its records up", () => {
    const zone = after(published, at(1_000, published, "routes").changes);
    const again = after(zone, plan(zone).changes);
    expect(ownershipIn(again)).toEqual(ownershipIn(published));
    expect(plan(again).changes).toEqual([]);
  });
});

test("what is ours is read as it was written, and another's text is not taken for it", () => {
  const ownership = { owner: "abc", digests: new Map([["www.nine.example. CNAME", ["0123456789ab"]]]), restAfter: 5 };
  expect(readOwnership(ownershipText(ownership, domain), domain)).toEqual(ownership);
  for (const text of ["", "v=spf1", "owner=", "owner= x", "owner=a b"])
    expect(readOwnership(text, domain)?.digests.size ?? 0).toBe(0);
});
