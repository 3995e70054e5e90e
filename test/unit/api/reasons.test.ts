import { expect, test } from "vitest";
import { isStalled, type Reason, reasons, whoActs } from "../../../src/api/reasons.ts";

const names = Object.keys(reasons) as Reason[];

test("each reason is a word that conditions may have, with a meaning of its own that is no sentence with a full stop", () => {
  for (const name of names) expect(name).toMatch(/^[A-Z][A-Za-z]*$/);
  const meanings = names.map((name) => reasons[name].meaning);
  expect(new Set(meanings).size).toBe(names.length);
  expect(meanings.filter((meaning) => /[.]$|^[A-Z][a-z]+ed\b/.test(meaning))).toEqual([]);
});

test.each<{ who: ReturnType<typeof whoActs>; reason: Reason; stalled: boolean }>([
  { who: undefined, reason: "Serving", stalled: false },
  { who: undefined, reason: "Paused", stalled: false },
  { who: "moving", reason: "PodMissing", stalled: false },
  { who: "passing", reason: "ApplyFailed", stalled: false },
  // cert-manager or a person is about to create it
  { who: "passing", reason: "CertificateMissing", stalled: false },
  { who: "needs edit", reason: "SpecInvalid", stalled: true },
  { who: "needs person", reason: "VolumeLost", stalled: true },
])("$reason: $who, stalled: $stalled", ({ who, reason, stalled }) => {
  expect([whoActs(reason), isStalled(reason)]).toEqual([who, stalled]);
});
