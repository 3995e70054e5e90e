/**
 * Rotation of DKIM keys as a value: which sets of keys there are, what each is for, and what comes
 * next. A set is one key of each algorithm; the keys of a set come and go together. The value
 * stands in the Secret beside the keys. Pure.
 *
 * Pending → Publishing → Published → Active → Retiring → removed
 */
import * as z from "zod";
import type { Dkim } from "../../api/spec/dkim.ts";

/**
 * - Pending: the key exists, and nobody publishes or verifies records yet.
 * - Publishing: its record is wanted, and not yet at every name server.
 * - Published: it is, since then; for two TTLs before it signs.
 * - Active: it signs.
 * - Retiring: it signed; its record stays for mail on its way.
 */
export const keyStates = ["Pending", "Publishing", "Published", "Active", "Retiring"] as const;
export type KeyState = (typeof keyStates)[number];

const KeySet = z.object({
  state: z.enum(keyStates),
  /** When it came into this state. */
  since: z.iso.datetime(),
  selectors: z.array(z.string().max(63)).min(1).max(8),
  /** Of a retiring one, once no relay pod signs with it any more. */
  keptUntil: z.iso.datetime().optional(),
});
export type KeySet = z.infer<typeof KeySet>;

export const Rotation = z.object({
  sets: z.array(KeySet).min(1).max(16),
  /** The value of the annotation that the last rotation by hand was started for. */
  answered: z.string().max(253).optional(),
  /** Of the selectors that were made last: none is ever used again. */
  lastName: z.string().max(63).optional(),
  /** By which records in the zone are known to be ours: stays the same when keys are replaced. */
  owner: z.string().max(64).optional(),
  /** Fingerprints of keys that were removed: who remembers one of them has not lost it. */
  removed: z.array(z.string().max(64)).max(64).optional(),
});
export type Rotation = z.infer<typeof Rotation>;

export type Algorithm = Dkim["algorithms"][number];

/** What is known of the record of one key. */
export interface SeenRecord {
  /** Right at every name server; at those that answer; wrong or missing; not known. */
  at: "all" | "answering" | "missing" | "unknown";
  /** What is not as it has to be. */
  says?: string;
}

export interface RotationSeen {
  spec: Dkim;
  ttlSeconds: number;
  /** Which algorithms the active keys have. */
  algorithms: readonly Algorithm[];
  /** The value of the annotation that asks for a rotation. */
  request: string | undefined;
  /** Selectors of keys that others may have, as a person says. */
  compromised: readonly string[];
  /** Who publishes the records; "nobody" verifies them either. */
  publisher: "operator" | "person" | "nobody";
  /** By selector. */
  records: Readonly<Record<string, SeenRecord>>;
  /** The moment that the records were last asked to be verified for. */
  asOf: string | undefined;
  /** Selectors that the relay pod signs with; "none": there is no pod. */
  signer: readonly string[] | "none" | "unknown";
}

export interface Step {
  /** What is to be from now on; undefined: as it is. */
  to?: Rotation;
  /** Keys to be made, and selectors of those to be removed. */
  made?: readonly { selector: string; algorithm: Algorithm }[];
  removed?: readonly string[];
  /** What happened, for people. */
  note?: string;
  /** What it waits for. */
  waits?: { for: "person" | "time"; message: string };
  /** When there may be something to do by the passing of time. */
  at?: Date;
  /** The records have to be verified again, for this moment. */
  asOf?: string;
}

const dayMs = 86_400_000;
/** Rotations in a row leave no more behind than name servers and people can follow. */
const mostRetiring = 4;
const mostRemoved = 64;

/** Keys that were there before there was a word of rotation: all of them sign. */
export const firstRotation = (selectors: readonly string[], since: string): Rotation => ({
  sets: [{ state: "Active", since, selectors: [...selectors] }],
});

const isNext = ({ state }: KeySet) => state === "Pending" || state === "Publishing" || state === "Published";
const namedIn = (set: KeySet) => set.selectors.join(" and ");

/** One transition, or what is waited for. Repeated until nothing changes. */
export function next(now: Rotation, seen: RotationSeen, at: Date): Step {
  const active = now.sets.find(({ state }) => state === "Active");
  // a person has to put it right; nothing is decided on what can't be true
  if (!active) return {};
  const isKnownToOthers = (set: KeySet) => set.selectors.some((selector) => seen.compromised.includes(selector));
  const coming = now.sets.find(isNext);
  if (coming && isKnownToOthers(coming))
    return without(now, coming, `the key ${namedIn(coming)} is compromised and was removed before it signed`);
  const retiring = now.sets.filter(({ state }) => state === "Retiring");
  const left = retiring.map((set) => retire(now, set, seen, at, isKnownToOthers(set)));
  const change = left.find(({ to }) => to !== undefined);
  if (change) return change;
  const hurry = isKnownToOthers(active);
  const step = coming ? advance(now, { active, coming, hurry }, seen, at) : start(now, { active, hurry }, seen, at);
  return step.to ? step : combined([step, ...left]);
}

/** The first that waits says so; the first date counts. */
function combined(steps: readonly Step[]): Step {
  const waits = steps.find((step) => step.waits)?.waits;
  const asOf = steps.find((step) => step.asOf !== undefined)?.asOf;
  const dates = steps.flatMap((step) => step.at ?? []).sort((a, b) => a.getTime() - b.getTime());
  const [first] = dates;
  return { ...(waits && { waits }), ...(asOf !== undefined && { asOf }), ...(first && { at: first }) };
}

const timeText = (at: Date) => `${at.toISOString().slice(0, 19)}Z`;

const replaced = (now: Rotation, set: KeySet, by: KeySet): Rotation => ({
  ...now,
  sets: now.sets.map((each) => (each === set ? by : each)),
});

const without = (now: Rotation, set: KeySet, note: string): Step => ({
  to: { ...now, sets: now.sets.filter((each) => each !== set) },
  removed: set.selectors,
  note,
});

/** What is added to what is remembered of removed keys. */
export const remembering = (removed: readonly string[] | undefined, more: readonly string[]): string[] =>
  [...new Set([...(removed ?? []), ...more])].slice(-mostRemoved);

/** When the period of the keys that sign ends; undefined where there is none. */
export function periodEnd({ sets }: Rotation, { rotation }: Dkim): Date | undefined {
  const active = sets.find(({ state }) => state === "Active");
  if (!active || rotation.everyDays === undefined) return undefined;
  return new Date(Date.parse(active.since) + rotation.everyDays * dayMs);
}

/** Why there is to be a new key; undefined: there is none. */
function causeOf(now: Rotation, hurry: boolean, seen: RotationSeen, at: Date): string | undefined {
  const { spec, request } = seen;
  if (hurry) return "the one that signs is compromised";
  if (request !== undefined && request !== now.answered) return "asked for by annotation";
  const lacking = spec.algorithms.filter((each) => !seen.algorithms.includes(each));
  if (lacking.length > 0) return `no key that signs is of ${lacking.join(" and ")}`;
  const end = periodEnd(now, spec);
  return end && end <= at ? `after ${spec.rotation.everyDays} days` : undefined;
}

function start(now: Rotation, of: { active: KeySet; hurry: boolean }, seen: RotationSeen, at: Date): Step {
  const cause = causeOf(now, of.hurry, seen, at);
  if (cause === undefined) {
    const end = periodEnd(now, seen.spec);
    return end ? { at: end } : {};
  }
  const retiring = now.sets.filter(({ state }) => state === "Retiring").length;
  if (retiring >= mostRetiring && !of.hurry)
    return {
      waits: {
        for: "time",
        message: `a new key waits until one of the ${retiring} keys before is removed: ${cause}`,
      },
    };
  const name = newName(now, seen.spec.selectorPrefix, at);
  const made = seen.spec.algorithms.map((algorithm) => ({
    algorithm,
    selector: algorithm === "Ed25519" ? `${name}-ed` : name,
  }));
  const set: KeySet = { state: "Pending", since: timeText(at), selectors: made.map(({ selector }) => selector) };
  const to: Rotation = {
    ...now,
    sets: [...now.sets, set],
    lastName: name,
    ...(seen.request !== undefined && { answered: seen.request }),
  };
  return { to, made, note: `new DKIM key ${namedIn(set)}: ${cause}` };
}

/** The day, and a number where that day has had another: a name that was used says another key. */
export function newName(now: Rotation, prefix: string, at: Date): string {
  const base = `${prefix}-${timeText(at).slice(0, 10).replaceAll("-", "")}`;
  const { lastName = "" } = now;
  const last = lastName === base ? 1 : Number(lastName.startsWith(`${base}-`) ? lastName.slice(base.length + 1) : 0);
  const taken = new Set(now.sets.flatMap(({ selectors }) => selectors));
  for (let nth = last + 1; ; nth++) {
    const name = nth === 1 ? base : `${base}-${nth}`;
    if (!taken.has(name) && !taken.has(`${name}-ed`)) return name;
  }
}

function advance(
  now: Rotation,
  of: { active: KeySet; coming: KeySet; hurry: boolean },
  seen: RotationSeen,
  at: Date,
): Step {
  const { coming, hurry } = of;
  const names = namedIn(coming);
  const become = (state: KeyState, note?: string): Step => ({
    to: replaced(now, coming, { state, since: timeText(at), selectors: coming.selectors }),
    ...(note !== undefined && { note }),
  });
  const waits = (message: string, who: "person" | "time" = "time"): Step => ({ waits: { for: who, message } });
  if (seen.publisher === "nobody")
    return waits(
      `the new key ${names} waits: with dns.mode None nobody verifies that its record is published. Publish it and set dns.mode to Manual`,
      "person",
    );
  if (coming.state === "Pending") return become("Publishing");

  const records = coming.selectors.map((selector) => ({
    selector,
    ...(seen.records[selector] ?? { at: "unknown" as const }),
  }));
  const says = records.flatMap((each) => each.says ?? []).join("; ");
  const because = says === "" ? "" : `: ${says}`;
  const isRight = records.every((each) => each.at === "all" || (hurry && each.at === "answering"));
  const isMissing = records.some((each) => each.at === "missing");
  if (coming.state === "Publishing") {
    if (isRight) return become("Published");
    if (seen.publisher === "person" && isMissing)
      return waits(
        `the new key ${names} waits until you publish its record; mail is signed with the key before${because}`,
        "person",
      );
    return waits(`the new key ${names} signs when its record is at every name server${because}`);
  }

  if (isMissing)
    return become("Publishing", `the record of the new key ${names} is not at every name server${because}`);
  const dueAt = new Date(Date.parse(coming.since) + (hurry ? 0 : 2 * seen.ttlSeconds * 1_000));
  if (at < dueAt)
    return {
      ...waits(`the new key ${names} signs at ${timeText(dueAt)}, when its record was published for two TTLs`),
      at: dueAt,
    };
  const asOf = timeText(dueAt);
  if (!hurry && seen.asOf !== asOf)
    return { ...waits(`the record of the new key ${names} is verified once more before it signs`), asOf };
  if (!isRight)
    return {
      ...waits(`the new key ${names} does not sign yet, because its record can't be verified${because}`),
      ...(!hurry && { asOf }),
    };
  if (seen.signer === "unknown")
    return {
      ...waits(
        `the new key ${names} does not sign yet, because the relay pod has not reported which keys it signs with: its image may be too old`,
      ),
      ...(!hurry && { asOf }),
    };
  const since = timeText(at);
  const sets = now.sets.map((set): KeySet => {
    if (set === coming) return { state: "Active", since, selectors: set.selectors };
    return set === of.active ? { state: "Retiring", since, selectors: set.selectors } : set;
  });
  return { to: { ...now, sets }, note: `mail is signed with DKIM key ${names}; before with ${namedIn(of.active)}` };
}

function retire(now: Rotation, set: KeySet, seen: RotationSeen, at: Date, hurry: boolean): Step {
  const names = namedIn(set);
  const { signer } = seen;
  const signs = typeof signer !== "string" && set.selectors.some((selector) => signer.includes(selector));
  if (set.keptUntil === undefined || signs) {
    if (signs || signer === "unknown") {
      const why = signs
        ? "the relay pod still signs with it"
        : "the relay pod has not reported which keys it signs with";
      const waits = { for: "time", message: `the record of DKIM key ${names} stays: ${why}` } as const;
      const { keptUntil, ...rest } = set;
      return keptUntil === undefined ? { waits } : { to: replaced(now, set, rest) };
    }
    const keptUntil = new Date(at.getTime() + (hurry ? 0 : seen.spec.rotation.keepOldDays * dayMs));
    return { to: replaced(now, set, { ...set, keptUntil: timeText(keptUntil) }) };
  }
  const end = new Date(set.keptUntil);
  if (end <= at || hurry) return without(now, set, removedNote(seen, names));
  return { at: end };
}

const removedNote = ({ publisher }: RotationSeen, names: string) =>
  publisher === "operator"
    ? `DKIM key ${names} was removed, and its record with it`
    : `DKIM key ${names} was removed: delete its record ${names}._domainkey`;
