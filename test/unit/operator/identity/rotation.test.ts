/** Rotation of DKIM keys as a value: a row for each transition, and for what has to wait. */
import { describe, expect, test } from "vitest";
import { Dkim } from "../../../../src/api/spec/dkim.ts";
import {
  firstRotation,
  type KeySet,
  type KeyState,
  newName,
  next,
  type Rotation,
  type RotationSeen,
  type SeenRecord,
} from "../../../../src/operator/identity/rotation.ts";

const at = new Date("2026-11-29T12:00:00Z");
const ago = (seconds: number) => `${new Date(at.getTime() - seconds * 1_000).toISOString().slice(0, 19)}Z`;
const day = 86_400;
const set = (state: KeyState, selector: string, sinceSeconds = 0, more: Partial<KeySet> = {}): KeySet => ({
  state,
  since: ago(sinceSeconds),
  selectors: [selector],
  ...more,
});
const old = set("Active", "old", 10 * day);
const coming = (state: KeyState, sinceSeconds = 0) => ({ sets: [old, set(state, "new", sinceSeconds)] });
const left = (more: Partial<KeySet> = {}) => ({ sets: [set("Active", "new", 60), set("Retiring", "old", 60, more)] });
const everywhere: RotationSeen["records"] = { old: { at: "all" }, new: { at: "all" } };
const record = (is: SeenRecord): Partial<RotationSeen> => ({ records: { ...everywhere, new: is } });
const seen: RotationSeen = {
  spec: Dkim.parse({}),
  ttlSeconds: 300,
  algorithms: ["RSA2048"],
  request: undefined,
  compromised: [],
  publisher: "operator",
  records: everywhere,
  asOf: undefined,
  signer: ["old"],
};
const every = (everyDays: number) => ({ spec: Dkim.parse({ rotation: { everyDays } }) });
const statesIn = ({ sets }: Rotation) => sets.map(({ state, selectors }) => `${state} ${selectors.join("+")}`);
const fresh = { asOf: ago(0) };

describe("transitions", () => {
  test.each<{ when: string; from: Rotation; is: Partial<RotationSeen>; to: string[] }>([
    {
      when: "the period is over",
      from: { sets: [old] },
      is: every(10),
      to: ["Active old", "Pending chatmail-20261129"],
    },
    {
      when: "it is asked for by annotation",
      from: { sets: [old], answered: "1" },
      is: { request: "2" },
      to: ["Active old", "Pending chatmail-20261129"],
    },
    {
      when: "an algorithm is added",
      from: { sets: [old] },
      is: { spec: Dkim.parse({ algorithms: ["RSA2048", "Ed25519"], selectorPrefix: "mail" }) },
      to: ["Active old", "Pending mail-20261129+mail-20261129-ed"],
    },
    {
      when: "the key that signs is compromised",
      from: { sets: [old] },
      is: { compromised: ["old"] },
      to: ["Active old", "Pending chatmail-20261129"],
    },
    { when: "records are verified", from: coming("Pending"), is: {}, to: ["Active old", "Publishing new"] },
    {
      when: "every name server has the record",
      from: coming("Publishing"),
      is: {},
      to: ["Active old", "Published new"],
    },
    {
      when: "the record is lost before the key signs",
      from: coming("Published", 100),
      is: record({ at: "missing" }),
      to: ["Active old", "Publishing new"],
    },
    {
      when: "two TTLs are over and the record was verified again",
      from: coming("Published", 600),
      is: fresh,
      to: ["Retiring old", "Active new"],
    },
    {
      when: "no pod runs",
      from: coming("Published", 600),
      is: { ...fresh, signer: "none" },
      to: ["Retiring old", "Active new"],
    },
    {
      when: "the pod signs with the new key alone",
      from: left(),
      is: { signer: ["new"] },
      to: ["Active new", "Retiring old until 2026-12-06T12:00:00Z"],
    },
    {
      when: "there is no pod that could sign with the old key",
      from: left(),
      is: { signer: "none" },
      to: ["Active new", "Retiring old until 2026-12-06T12:00:00Z"],
    },
    {
      when: "a pod signs with the old key again",
      from: left({ keptUntil: ago(-day) }),
      is: { signer: ["old"] },
      to: ["Active new", "Retiring old"],
    },
    {
      when: "mail on its way has arrived",
      from: left({ keptUntil: ago(0) }),
      is: { signer: ["new"] },
      to: ["Active new"],
    },
    {
      when: "a compromised key signs no more",
      from: left(),
      is: { signer: ["new"], compromised: ["old"] },
      to: ["Active new", "Retiring old until 2026-11-29T12:00:00Z"],
    },
    {
      when: "a key that is kept is compromised",
      from: left({ keptUntil: ago(-day) }),
      is: { signer: ["new"], compromised: ["old"] },
      to: ["Active new"],
    },
    {
      when: "the new key is compromised before it signs",
      from: coming("Published", 100),
      is: { compromised: ["new"] },
      to: ["Active old"],
    },
    {
      when: "the key that signs is compromised and the new record is at all that answer",
      from: coming("Publishing"),
      is: { ...record({ at: "answering" }), compromised: ["old"] },
      to: ["Active old", "Published new"],
    },
    {
      when: "the key that signs is compromised and the new record has just been verified",
      from: coming("Published"),
      is: { compromised: ["old"] },
      to: ["Retiring old", "Active new"],
    },
  ])("when $when: $to", ({ from, is, to }) => {
    const step = next(from, { ...seen, ...is }, at);
    const shown = step.to?.sets.map(({ keptUntil }, nth) =>
      [statesIn(step.to as Rotation)[nth], ...(keptUntil ? [`until ${keptUntil}`] : [])].join(" "),
    );
    expect(shown).toEqual(to);
  });
});

describe("what waits", () => {
  test.each<{ when: string; from: Rotation; is: Partial<RotationSeen>; says: RegExp | undefined; for?: string }>([
    { when: "nothing is asked for", from: { sets: [old] }, is: {}, says: undefined },
    {
      when: "the annotation was answered",
      from: { sets: [old], answered: "1" },
      is: { request: "1" },
      says: undefined,
    },
    { when: "a compromised key is gone", from: { sets: [old] }, is: { compromised: ["older"] }, says: undefined },
    {
      when: "nobody verifies records",
      from: coming("Pending"),
      is: { publisher: "nobody" },
      says: /with dns\.mode None nobody verifies/,
      for: "person",
    },
    {
      when: "a person has not published the record",
      from: coming("Publishing"),
      is: { publisher: "person", ...record({ at: "missing", says: "TXT new is missing at ns1" }) },
      says: /waits until you publish its record; .*: TXT new is missing at ns1/,
      for: "person",
    },
    {
      when: "the operator's update is not everywhere",
      from: coming("Publishing"),
      is: record({ at: "missing", says: "TXT new is missing at ns2" }),
      says: /signs when its record is at every name server: TXT new is missing at ns2/,
    },
    {
      when: "a name server does not answer",
      from: coming("Publishing"),
      is: record({ at: "answering", says: "ns2 is silent" }),
      says: /at every name server: ns2 is silent/,
    },
    {
      when: "nothing is known of records",
      from: coming("Publishing"),
      is: { records: {} },
      says: /every name server$/,
    },
    { when: "two TTLs are not over", from: coming("Published", 599), is: fresh, says: /signs at 2026-11-29T12:00:01Z/ },
    {
      when: "the record was not verified since",
      from: coming("Published", 600),
      is: { asOf: ago(1) },
      says: /verified once more/,
    },
    {
      when: "a name server fell silent at the end",
      from: coming("Published", 600),
      is: { ...fresh, ...record({ at: "answering", says: "ns2 is silent" }) },
      says: /can't be verified: ns2 is silent/,
    },
    {
      when: "the pod does not report which keys it signs with",
      from: coming("Published", 600),
      is: { ...fresh, signer: "unknown" },
      says: /its image may be too old/,
    },
    {
      when: "the pod still signs with the old key",
      from: left(),
      is: { signer: ["old"] },
      says: /stays: the relay pod still/,
    },
    { when: "the pod can't be asked", from: left(), is: { signer: "unknown" }, says: /stays: .* not reported/ },
    {
      when: "a compromised key may still sign",
      from: left(),
      is: { signer: "unknown", compromised: ["old"] },
      says: /stays: .* not reported/,
    },
    { when: "the old key is kept", from: left({ keptUntil: ago(-1) }), is: { signer: ["new"] }, says: undefined },
    {
      when: "four keys before are still kept",
      from: { sets: [old, ...["a", "b", "c", "d"].map((name) => set("Retiring", name, 0, { keptUntil: ago(-9) }))] },
      is: { request: "1" },
      says: /waits until one of the 4 keys before is removed/,
    },
  ])("when $when: $says", ({ from, is, says, for: who = "time" }) => {
    const step = next(from, { ...seen, ...is }, at);
    expect(step.to).toBeUndefined();
    if (says === undefined) expect(step.waits).toBeUndefined();
    else expect(step.waits).toEqual({ for: who, message: expect.stringMatching(says) });
  });

  test.each<{ from: Rotation; is: Partial<RotationSeen>; due: string | undefined }>([
    { from: { sets: [old] }, is: {}, due: undefined },
    { from: { sets: [old] }, is: every(30), due: "2026-12-19T12:00:00Z" },
    { from: coming("Published", 200), is: {}, due: "2026-11-29T12:06:40Z" },
    {
      from: left({ keptUntil: "2026-12-06T12:00:00Z" }),
      is: { ...every(30), signer: ["new"] },
      due: "2026-12-06T12:00:00Z",
    },
  ])("there is something to do again at $due", ({ from, is, due }) => {
    expect(next(from, { ...seen, ...is }, at).at).toEqual(due === undefined ? undefined : new Date(due));
  });
});

test("a whole rotation ends with the new key alone, and the next one gets another name", () => {
  let now = firstRotation(["chatmail"], ago(day));
  let time = at;
  const run = (request: string) => {
    for (let steps = 0; steps < 20; steps++) {
      const records = Object.fromEntries(
        now.sets.flatMap(({ selectors }) => selectors.map((each) => [each, everywhere.new])),
      );
      const signer = now.sets.find(({ state }) => state === "Active")?.selectors ?? [];
      const due = next(now, { ...seen, request, records: records as RotationSeen["records"], signer }, time);
      const step = due.asOf
        ? next(now, { ...seen, request, records: records as RotationSeen["records"], signer, asOf: due.asOf }, time)
        : due;
      if (step.to) now = step.to;
      else if (step.at) time = step.at;
      else return;
    }
  };
  run("1");
  expect(statesIn(now)).toEqual(["Active chatmail-20261129"]);
  time = at;
  run("2");
  expect(statesIn(now)).toEqual(["Active chatmail-20261129-2"]);
});

test.each([
  { last: undefined, taken: [], name: "chatmail-20261129" },
  { last: "chatmail-20261128", taken: [], name: "chatmail-20261129" },
  { last: "chatmail-20261129", taken: [], name: "chatmail-20261129-2" },
  { last: "chatmail-20261129-9", taken: [], name: "chatmail-20261129-10" },
  { last: undefined, taken: ["chatmail-20261129"], name: "chatmail-20261129-2" },
  { last: undefined, taken: ["chatmail-20261129-ed"], name: "chatmail-20261129-2" },
])("after $last, beside $taken, a new key is $name", ({ last, taken, name }) => {
  const now = { sets: [old, ...taken.map((each) => set("Retiring", each))], ...(last && { lastName: last }) };
  expect(newName(now, "chatmail", at)).toBe(name);
});
