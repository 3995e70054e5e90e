/**
 * What has to change in a zone so that it has our records, and which of its records are not ours.
 * What is ours stands in the zone itself, in one TXT record, so that a restored cluster knows it
 * and two clusters see each other. Pure.
 */
import { createHash } from "node:crypto";
import type { PublishedType, RecordSet, Values } from "./records.ts";
import type { Change, OneRecord, Prerequisite } from "./update.ts";
import { valueText } from "./zone-text.ts";

/** Records of one name and type as a server has them; none: `values` is empty. */
export interface FoundSet {
  name: string;
  type: PublishedType;
  values: readonly Values[PublishedType][];
  /**
   * The data of each as the server has it, with its length of two octets: a text may be in other
   * strings than we would write.
   */
  data: readonly Buffer[];
  ttlSeconds: number;
}

/** What a set of ours can't have, because others' records are in the way. */
export interface NotOurs {
  name: string;
  type: PublishedType;
  /** The records that are in the way, as in a zone file. */
  seen: string[];
}

export interface Ownership {
  /** Who wrote the records. */
  owner: string;
  /** Digests of our values, by name and type of their set. */
  digests: ReadonlyMap<string, readonly string[]>;
  /** While a withdrawal waits for the TTL of the MX record: until when, in seconds since 1970. */
  restAfter?: number | undefined;
}

export const ownerName = (domain: string) => `_chatmail-owner.${domain}.`;

/** Those of a set that are plain text: of TXT and CNAME records. */
export const textsOf = (set: FoundSet | undefined): string[] =>
  (set?.values ?? []).filter((value) => typeof value === "string");

const keyOf = ({ name, type }: { name: string; type: string }) => `${name} ${type}`;
const digestOf = (text: string) => createHash("sha256").update(text).digest("hex").slice(0, 12);

/** Names and types of the sets that are ours. */
export const ownedSets = ({ digests }: Ownership): { name: string; type: PublishedType }[] =>
  [...digests.keys()].map((key) => {
    const [name = "", type = ""] = key.split(" ");
    return { name, type: type as PublishedType };
  });

const publishedTypes: readonly string[] = [
  "A",
  "AAAA",
  "CNAME",
  "MX",
  "TXT",
  "SRV",
  "CAA",
  "TLSA",
] satisfies PublishedType[];

/** `owner=… [rest-after=…] SET=digest,digest …`, where SET is such as `www/CNAME` or `@/MX`. */
export function ownershipText(ownership: Ownership, domain: string): string {
  const sets = [...ownership.digests].map(([key, digests]) => {
    const [name = "", type = ""] = key.split(" ");
    return `${relative(name, domain)}/${type}=${digests.join(",")}`;
  });
  const rest = ownership.restAfter === undefined ? [] : [`rest-after=${ownership.restAfter}`];
  return [`owner=${ownership.owner}`, ...rest, ...sets].join(" ");
}

/** Undefined where the text is not one of ours. */
export function readOwnership(text: string, domain: string): Ownership | undefined {
  const [first = "", ...words] = text.split(" ");
  const owner = /^owner=([0-9a-zA-Z-]+)$/.exec(first)?.[1];
  if (owner === undefined) return undefined;
  const digests = new Map<string, string[]>();
  let restAfter: number | undefined;
  for (const word of words) {
    const rest = /^rest-after=([0-9]{1,12})$/.exec(word)?.[1];
    if (rest !== undefined) restAfter = Number(rest);
    const [, name, type, list] = /^([^/=]+)\/([A-Z]+)=([0-9a-f,]+)$/.exec(word) ?? [];
    if (name === undefined || type === undefined || list === undefined || !publishedTypes.includes(type)) continue;
    digests.set(`${absolute(name, domain)} ${type}`, list.split(","));
  }
  return { owner, digests, restAfter };
}

const relative = (name: string, domain: string) => (name === `${domain}.` ? "@" : name.slice(0, -`.${domain}.`.length));
const absolute = (name: string, domain: string) => (name === "@" ? `${domain}.` : `${name}.${domain}.`);

export interface Publication {
  prerequisites: Prerequisite[];
  changes: Change[];
  notOurs: NotOurs[];
}

export interface PublicationOptions {
  domain: string;
  /** The first is written; records of any of them are ours. */
  owners: readonly [string, ...string[]];
  wanted: readonly RecordSet[];
  found: readonly FoundSet[];
  ownership: Ownership | undefined;
  ttlSeconds: number;
  /** Names at which something stands that can't be read, so no CNAME may. */
  inUse?: ReadonlySet<string>;
}

/** `ownership` has to be that of one of `owners`, or undefined. */
export function planPublication(options: PublicationOptions): Publication {
  const { domain, owners, wanted, found, ownership, ttlSeconds } = options;
  const at = new Map(found.map((set) => [keyOf(set), set]));
  const wantedAt = new Map(wanted.map((set) => [keyOf(set), set]));
  const owned = ownership ? ownedSets(ownership) : [];
  const plan: Publication = { prerequisites: [], changes: [], notOurs: [] };
  const [deletes, adds]: [Change[], Change[]] = [[], []];
  const ours = new Map<string, string[]>();

  for (const [key, { name, type }] of new Map([...wanted, ...owned].map((set) => [keyOf(set), set]))) {
    const of = { name, type };
    const { stale, added, renewed, kept, inTheWay } = planSet(of, wantedAt.get(key), at, options);
    if (inTheWay.length > 0) plan.notOurs.push({ ...of, seen: inTheWay });
    const record = ({ value }: Known) => ({ name, type, value }) as OneRecord;
    deletes.push(...stale.map((each) => ({ change: "delete" as const, ...record(each) })));
    adds.push(...[...renewed, ...added].map((each) => ({ change: "add" as const, ttlSeconds, ...record(each) })));
    if (stale.length + added.length + renewed.length > 0)
      plan.prerequisites.push(...stillAsFound(of, at.get(key), added.length > 0, at));
    const digests = [...kept, ...added].map(({ text }) => digestOf(text)).sort();
    if (digests.length > 0) ours.set(key, digests);
  }

  const owner = ownerChange({ owner: owners[0], digests: ours }, { domain, ownership, found, ttlSeconds });
  plan.prerequisites.push(...owner.prerequisites);
  plan.changes = [...deletes, ...adds.sort(addressesFirst), ...owner.changes];
  return plan;
}

interface Known {
  value: Values[PublishedType];
  /** As in a zone file. */
  text: string;
}

interface SetPlan {
  /** Ours, and not wanted any more. */
  stale: Known[];
  added: Known[];
  /** Ours, with another TTL. */
  renewed: Known[];
  /** Ours, and wanted. */
  kept: Known[];
  inTheWay: string[];
}

function planSet(
  of: { name: string; type: PublishedType },
  want: RecordSet | undefined,
  at: ReadonlyMap<string, FoundSet>,
  { domain, ownership, ttlSeconds, inUse }: PublicationOptions,
): SetPlan {
  const { name, type } = of;
  const known = (value: Values[PublishedType]): Known => ({ value, text: valueText(type as never, value as never) });
  const there = at.get(keyOf(of));
  const have = (there?.values ?? []).map(known);
  const wanted = (want?.values ?? []).map(known);
  const digests = ownership?.digests.get(keyOf(of)) ?? [];
  const isOwned = ({ text }: Known) => digests.includes(digestOf(text));
  const isIn = (list: readonly Known[]) => (each: Known) => list.some(({ text }) => text === each.text);
  const [isWanted, isThere] = [isIn(wanted), isIn(have)];

  const kept = have.filter((each) => isOwned(each) && isWanted(each));
  const foreign = have.filter((each) => !isOwned(each) && !isWanted(each));
  const missing = wanted.filter((each) => !isThere(each));
  const alias = type === "CNAME" ? undefined : foreignAlias(name, at, ownership);
  const inTheWay = want
    ? [
        ...foreign.map(({ text }) => text).filter((text) => conflicts({ ...of, text }, domain)),
        ...(alias === undefined ? [] : [`CNAME ${alias}`]),
        ...(type === "CNAME" && missing.length > 0 && inUse?.has(name) ? ["another record"] : []),
      ]
    : [];
  // a set has one TTL, which is also that of others' records in it
  const isLeft = !want || there?.ttlSeconds === ttlSeconds || foreign.length > 0;
  return {
    stale: have.filter((each) => isOwned(each) && !isWanted(each)),
    added: inTheWay.length > 0 ? [] : missing,
    renewed: isLeft ? [] : kept,
    kept,
    inTheWay,
  };
}

/** The record that says what is ours, where it has to be another or none. */
function ownerChange(
  now: Ownership,
  { domain, ownership, found, ttlSeconds }: Pick<PublicationOptions, "domain" | "ownership" | "found" | "ttlSeconds">,
): { prerequisites: Prerequisite[]; changes: Change[] } {
  const name = ownerName(domain);
  const there = found.find((set) => set.name === name && set.type === "TXT");
  const text = now.digests.size > 0 || now.restAfter !== undefined ? ownershipText(now, domain) : undefined;
  const before = ownership && ownershipText(ownership, domain);
  if (text === before) return { prerequisites: [], changes: [] };
  const old = textsOf(there).filter((text) => readOwnership(text, domain));
  return {
    prerequisites: stillAsFound({ name, type: "TXT" }, there, text !== undefined, new Map()),
    changes: [
      ...old.map((value) => ({ change: "delete", name, type: "TXT", value }) as const),
      ...(text === undefined ? [] : [{ change: "add", ttlSeconds, name, type: "TXT", value: text } as const]),
    ],
  };
}

/** So that nothing is touched that was not read: somebody else may write at the same moment. */
function stillAsFound(
  { name, type }: { name: string; type: PublishedType },
  there: FoundSet | undefined,
  adds: boolean,
  at: ReadonlyMap<string, FoundSet>,
): Prerequisite[] {
  if (there && there.values.length > 0) return [exactly(there)];
  // beside a CNAME record a server adds nothing, and says nothing (RFC 2136 §3.4.2.2)
  if (type === "CNAME") return [{ is: "unused", name }];
  const alias = (at.get(`${name} CNAME`)?.values.length ?? 0) > 0;
  return [
    { is: "absent", name, type },
    ...(adds && !alias ? [{ is: "absent" as const, name, type: "CNAME" as const }] : []),
  ];
}

const exactly = ({ name, type, data }: FoundSet): Prerequisite => ({ is: "exactly", name, type, data });

/** The target of a CNAME record at the name that others made. */
function foreignAlias(
  name: string,
  at: ReadonlyMap<string, FoundSet>,
  ownership: Ownership | undefined,
): string | undefined {
  const key = `${name} CNAME`;
  const [text] = textsOf(at.get(key));
  if (text === undefined) return undefined;
  return ownership?.digests.get(key)?.includes(digestOf(text)) ? undefined : text;
}

/** Whether somebody else's value keeps ours from having the meaning that it is to have. */
function conflicts({ name, type, text }: { name: string; type: string; text: string }, domain: string): boolean {
  // each authority and each key is for itself
  if (type === "CAA" || type === "TLSA") return false;
  // many write TXT records at the name of a domain; two of SPF are an error (RFC 7208 §4.5)
  if (type === "TXT" && name === `${domain}.`) return /^"v=spf1\b/i.test(text);
  return true;
}

const addressesFirst = (a: Change, b: Change) => Number(isAddress(b)) - Number(isAddress(a));
const isAddress = ({ type }: Change) => type === "A" || type === "AAAA";

/** Takes away what is ours. */
export interface Withdrawal extends Omit<Publication, "notOurs"> {
  /**
   * When nobody remembers the MX record any more, in seconds since 1970; undefined where it was not
   * ours.
   */
  routesUntil?: number;
}

/**
 * routes: the MX record alone, so that no new mail comes; the zone remembers until when others may
 * remember it. all: whatever is ours.
 */
export function planWithdrawal(
  options: Omit<PublicationOptions, "wanted"> & { nowSeconds: number; part: "routes" | "all" },
): Withdrawal {
  const { ownership, found, nowSeconds, part } = options;
  if (!ownership) return { prerequisites: [], changes: [] };
  const owned = found.flatMap((set) => {
    const digests = ownership.digests.get(keyOf(set)) ?? [];
    const values = set.values.filter((value) =>
      digests.includes(digestOf(valueText(set.type as never, value as never))),
    );
    return values.length > 0 && (part === "all" || set.type === "MX") ? [{ set, values }] : [];
  });
  const { owner, restAfter } = ownership;
  if (part === "routes" && owned.length === 0)
    return { prerequisites: [], changes: [], ...(restAfter !== undefined && { routesUntil: restAfter }) };
  const until = nowSeconds + Math.max(...owned.map(({ set }) => set.ttlSeconds), 0);
  const digests = new Map([...ownership.digests].filter(([key]) => part === "routes" && !key.endsWith(" MX")));
  const record = ownerChange({ owner, digests, ...(part === "routes" && { restAfter: until }) }, options);
  return {
    prerequisites: [...owned.map(({ set }) => exactly(set)), ...record.prerequisites],
    changes: [
      ...owned.flatMap(({ set: { name, type }, values }) =>
        values.map((value) => ({ change: "delete", name, type, value }) as Change),
      ),
      ...record.changes,
    ],
    ...(part === "routes" && { routesUntil: until }),
  };
}
