import { describe, expect, test } from "vitest";
import type { Condition } from "../../../../src/api/chatmail-server.ts";
import { deadlineMs, isAside, isStalled, type Reason, reasons, whoActs } from "../../../../src/api/reasons.ts";
import { countsFrom, progressVerdicts, stallsAt } from "../../../../src/operator/server/progress.ts";

const start = new Date("2026-11-29T12:00:00Z");
const settled = { reason: "Settled", message: "all done" } as const;
const later = (ms: number) => new Date(start.getTime() + ms);
const at = (now: Date, before: Condition[] = [], generation = 1) => ({ before, generation, now });
const says = ({ Reconciling, Stalled }: ReturnType<typeof progressVerdicts>) =>
  [Reconciling, Stalled].map(({ status, reason }) => `${status} ${reason}`).join(", ");
const problem = (reason: Reason) => ({ reason, message: "what is wrong" });
const asCondition = (
  type: string,
  of: { status: Condition["status"]; reason: Reason; message: string },
): Condition => ({
  type,
  ...of,
  lastTransitionTime: start.toISOString(),
  observedGeneration: 1,
});
const conditionsOf = ({ Reconciling, Stalled }: ReturnType<typeof progressVerdicts>) => [
  asCondition("Reconciling", Reconciling),
  asCondition("Stalled", Stalled),
];

const names = Object.keys(reasons) as Reason[];
const whole = names.filter((reason) => whoActs(reason) !== undefined && !isAside(reason));
const passing = whole.filter((reason) => !isStalled(reason));

test("every reason that should pass by itself has a deadline, and no other has one", () => {
  expect(names.filter((reason) => deadlineMs(reason) !== undefined)).toEqual(passing);
});

describe.each(passing)("%s", (reason) => {
  const limit = deadlineMs(reason) ?? 0;
  const first = progressVerdicts([problem(reason)], at(start), settled);

  test("is worked on until its deadline, and then it is Stalled, with the time in words", () => {
    expect(says(first)).toBe(`True ${reason}, False NotStalled`);
    const before = conditionsOf(first);
    expect(stallsAt(before)).toEqual(later(limit));
    expect(says(progressVerdicts([problem(reason)], at(later(limit - 1), before), settled))).toBe(says(first));
    const late = progressVerdicts([problem(reason)], at(later(limit), before), settled);
    expect(says(late)).toBe(`False ${reason}, True ${reason}`);
    expect(late.Stalled.message).toBe(`for more than ${limit / 60_000} minutes: what is wrong`);
    expect(stallsAt(conditionsOf(late))).toBeUndefined();
    const still = progressVerdicts([problem(reason)], at(later(limit + 1), conditionsOf(late)), settled);
    expect(says(still)).toBe(says(late));
  });

  test("an edit begins anew, and so does another problem", () => {
    const before = conditionsOf(first);
    expect(says(progressVerdicts([problem(reason)], at(later(limit), before, 2), settled))).toBe(says(first));
    const other = reason === "PodPending" ? "PodMissing" : "PodPending";
    const now = progressVerdicts([problem(other)], at(later(limit), before), settled);
    expect(says(now)).toBe(`True ${other}, False NotStalled`);
  });
});

test.each(whole.filter(isStalled))("%s is Stalled at once, also behind what passes", (reason) => {
  expect(says(progressVerdicts([problem("PodPending"), problem(reason)], at(start), settled))).toBe(
    `False ${reason}, True ${reason}`,
  );
});

test("where nothing is wrong nothing is worked on", () => {
  expect(says(progressVerdicts([], at(start), settled))).toBe("False Settled, False NotStalled");
});

test("what is at rest is neither worked on nor blocked, and is not called done", () => {
  expect(says(progressVerdicts([problem("Paused")], at(start), settled))).toBe("False Paused, False NotStalled");
});

test("Reconciling counts the time of its reason, others that of their status", () => {
  expect([countsFrom({ type: "Reconciling" }), countsFrom({ type: "Ready" })]).toEqual(["reason", "status"]);
});
