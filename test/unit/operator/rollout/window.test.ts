import { expect, test } from "vitest";
import { isTimeZone, opensAt } from "../../../../src/operator/rollout/window.ts";

const night = { start: "02:00", durationMinutes: 120, timeZone: "UTC" };
const berlin = { ...night, timeZone: "Europe/Berlin" };

test.each([
  { when: "before it", window: night, now: "2026-12-01T01:59:59Z", opens: "2026-12-01T02:00:00Z" },
  { when: "the second it opens", window: night, now: "2026-12-01T02:00:00Z", opens: undefined },
  { when: "its last second", window: night, now: "2026-12-01T03:59:59Z", opens: undefined },
  { when: "when it closes", window: night, now: "2026-12-01T04:00:00Z", opens: "2026-12-02T02:00:00Z" },
  {
    when: "after midnight, when it began before",
    window: { ...night, start: "23:30" },
    now: "2026-12-01T00:29:00Z",
    opens: undefined,
  },
  {
    when: "on another day",
    window: { ...night, days: ["Sunday" as const] },
    now: "2026-12-01T02:30:00Z",
    opens: "2026-12-06T02:00:00Z",
  },
  {
    when: "a week before the next one",
    window: { ...night, days: ["Tuesday" as const] },
    now: "2026-12-01T04:00:00Z",
    opens: "2026-12-08T02:00:00Z",
  },
  {
    when: "the day after, when it lasts the whole day",
    window: { ...night, durationMinutes: 1_440, days: ["Monday" as const] },
    now: "2026-12-01T01:59:00Z",
    opens: undefined,
  },
  { when: "in winter in Berlin", window: berlin, now: "2026-12-01T00:30:00Z", opens: "2026-12-01T01:00:00Z" },
  { when: "in summer in Berlin", window: berlin, now: "2026-07-01T00:30:00Z", opens: undefined },
  {
    when: "before the clocks go forward",
    window: { ...berlin, start: "04:00" },
    now: "2026-03-28T23:30:00Z",
    opens: "2026-03-29T02:00:00Z",
  },
  {
    when: "before they go back",
    window: { ...berlin, start: "04:00" },
    now: "2026-10-24T23:30:00Z",
    opens: "2026-10-25T03:00:00Z",
  },
  {
    when: "where it is tomorrow already",
    window: { ...night, timeZone: "Pacific/Auckland", days: ["Wednesday" as const] },
    now: "2026-12-01T13:30:00Z",
    opens: undefined,
  },
])("the window opens at $opens, seen $when", ({ window, now, opens }) => {
  expect(opensAt(window, new Date(now))).toEqual(opens === undefined ? undefined : new Date(opens));
});

test.each([
  { name: "UTC", is: true },
  { name: "Europe/Berlin", is: true },
  { name: "Europe/Berlim", is: false },
])("$name is a time zone: $is", ({ name, is }) => {
  expect(isTimeZone(name)).toBe(is);
});
