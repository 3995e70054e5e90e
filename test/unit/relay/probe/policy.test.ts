import { expect, test } from "vitest";
import { begin, next, type Outcome, type ProbeState } from "../../../../src/relay/probe/policy.ts";

const startMs = Date.parse("2026-11-29T12:00:00Z");
const good: Outcome = { kind: "delivered", latencyMs: 41.6 };
const bad = { kind: "failed", step: "deliver", message: "IMAP, port 993: late" } as const satisfies Outcome;
const other: Outcome = { kind: "failed", step: "TLS", message: "IMAP, port 993: the connection was closed" };

/** One result a minute, the first one `fromMs` after the start; the verdict after each. */
function verdicts(outcomes: readonly Outcome[], fromMs = 0) {
  let state: ProbeState = begin(startMs);
  return outcomes.map((outcome, at) => {
    const step = next(state, outcome, { nowMs: startMs + fromMs + at * 60_000, everyMs: 60_000, random: 0.5 });
    state = step.state;
    const { verdict } = state;
    const is = verdict === undefined ? "unknown" : verdict.status ? "yes" : `no: ${verdict.step}`;
    return `${is} in ${step.afterMs / 1000} s${step.counts ? "" : ", not counted"}`;
  });
}

test.each([
  { when: "the first message is delivered", outcomes: [good], is: ["yes in 60 s"] },
  { when: "all are", outcomes: [good, good], is: ["yes in 60 s", "yes in 60 s"] },
  { when: "one is lost", outcomes: [good, bad, good], is: ["yes in 60 s", "yes in 10 s", "yes in 60 s"] },
  {
    when: "each second one is lost",
    outcomes: [good, bad, good, bad, good],
    is: ["yes in 60 s", "yes in 10 s", "yes in 60 s", "yes in 10 s", "yes in 60 s"],
  },
  {
    when: "two in a row are lost",
    outcomes: [good, bad, bad],
    is: ["yes in 60 s", "yes in 10 s", "no: deliver in 60 s"],
  },
  {
    when: "none comes any more, the last step counts",
    outcomes: [good, bad, bad, other],
    is: ["yes in 60 s", "yes in 10 s", "no: deliver in 60 s", "no: TLS in 60 s"],
  },
  {
    when: "they come again, two in a row",
    outcomes: [good, bad, bad, good, good],
    is: ["yes in 60 s", "yes in 10 s", "no: deliver in 60 s", "no: deliver in 10 s", "yes in 60 s"],
  },
  {
    when: "one comes in between",
    outcomes: [good, bad, bad, good, bad],
    is: ["yes in 60 s", "yes in 10 s", "no: deliver in 60 s", "no: deliver in 10 s", "no: deliver in 60 s"],
  },
  {
    when: "the programs start",
    outcomes: [other, good],
    is: ["unknown in 1 s, not counted", "yes in 60 s"],
  },
])("messages are delivered: $when", ({ outcomes, is }) => {
  expect(verdicts(outcomes)).toEqual(is);
});

test("where none is delivered within a minute of the start, two failures more decide", () => {
  expect(verdicts([bad, bad], 59_999)).toEqual(["unknown in 1 s, not counted", "unknown in 10 s"]);
  expect(verdicts([bad, bad], 60_000)).toEqual(["unknown in 10 s", "no: deliver in 60 s"]);
  expect(verdicts([bad, good], 60_000)).toEqual(["unknown in 10 s", "yes in 60 s"]);
});

test("since when it is so stays, and the figure is the last one", () => {
  const at = (seconds: number) => ({ nowMs: startMs + seconds * 1000, everyMs: 60_000, random: 0 });
  const first = next(begin(startMs), good, at(1));
  expect(first.afterMs).toBe(54_000);
  expect(first.state.verdict).toEqual({ status: true, since: "2026-11-29T12:00:01.000Z", latencyMs: 42 });
  const second = next(first.state, { kind: "delivered", latencyMs: 50 }, at(61));
  expect(second.state.verdict).toEqual({ status: true, since: "2026-11-29T12:00:01.000Z", latencyMs: 50 });
  const lost = next(second.state, bad, at(121));
  expect(lost.state.verdict).toEqual(second.state.verdict);
  const failed = next(lost.state, bad, at(131));
  const { step, message } = bad;
  expect(failed.state.verdict).toEqual({ status: false, since: "2026-11-29T12:02:11.000Z", step, message });
});

test("with a short interval nothing takes longer than that", () => {
  const soon = { nowMs: startMs + 90_000, everyMs: 500, random: 0 };
  expect(next(begin(startMs), bad, soon).afterMs).toBe(500);
  expect(next(begin(startMs), bad, { ...soon, nowMs: startMs }).afterMs).toBe(500);
});
