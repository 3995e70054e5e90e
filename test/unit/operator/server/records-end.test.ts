import { expect, test } from "vitest";
import {
  failingWithinMs,
  keyWithinMs,
  leftInZone,
  type RecordsEnding,
  recordsStep,
  routesWithinMs,
} from "../../../../src/operator/server/records-end.ts";

const now = new Date("2026-11-29T12:00:00Z");
const ending: RecordsEnding = { part: "routes", status: undefined, sinceMs: 0, now };
const failed = (tries: number) =>
  ({ is: "failed", problem: { reason: "DnsServerUnreachable", message: "no answer" }, tries }) as const;
const problem = { reason: "TsigSecretMissing", message: "there is no Secret dns-key" } as const;
const later = new Date("2026-11-29T12:00:30Z");
const before = new Date("2026-11-29T11:59:59Z");

test.each<{ when: string; seen: Partial<RecordsEnding>; is: string; says?: RegExp }>([
  { when: "nothing was tried yet", seen: {}, is: "wait", says: /^removing the MX record$/ },
  { when: "the rest was not tried yet", seen: { part: "all" }, is: "wait", says: /^removing the DNS records$/ },
  {
    when: "others remember the MX record",
    seen: { status: { is: "done", routesUntil: later } },
    is: "wait",
    says: /new mail may come until 2026-11-29T12:00:30\.000Z/,
  },
  { when: "nobody remembers it", seen: { status: { is: "done", routesUntil: before } }, is: "done" },
  {
    when: "others may remember it for a day",
    seen: { status: { is: "done", routesUntil: later }, sinceMs: routesWithinMs },
    is: "done",
  },
  { when: "none was ours", seen: { status: { is: "done" } }, is: "done" },
  { when: "all are removed", seen: { part: "all", status: { is: "done" } }, is: "done" },
  {
    when: "the name server is down",
    seen: { status: failed(9), sinceMs: failingWithinMs - 1 },
    is: "wait",
    says: /can't be removed yet: no answer/,
  },
  { when: "it is down for long", seen: { status: failed(3), sinceMs: failingWithinMs }, is: "givenUp" },
  { when: "the operator was, and has tried once", seen: { status: failed(1), sinceMs: 9e9 }, is: "wait" },
  { when: "the Secret is missing", seen: { problem, sinceMs: keyWithinMs - 1 }, is: "wait", says: /no Secret dns-key/ },
  { when: "the Secret stays missing", seen: { problem, sinceMs: keyWithinMs }, is: "givenUp" },
])("$is when $when", ({ seen, is, says }) => {
  const step = recordsStep({ ...ending, ...seen });
  expect(step.is).toBe(is);
  if (says) expect("says" in step && step.says).toMatch(says);
});

test("since when no mail comes is told, so that the queue has its time from then on", () => {
  const at = (seen: Partial<RecordsEnding>) => recordsStep({ ...ending, ...seen });
  expect(at({ status: { is: "done", routesUntil: before } })).toEqual({ is: "done", at: before });
  expect(at({ status: { is: "done" } })).toEqual({ is: "done" });
  // with a TTL of a day it is ten minutes after the deletion, whenever one looks
  const sinceMs = routesWithinMs + 60_000;
  const tomorrow = new Date(now.getTime() + 86_400_000);
  expect(at({ status: { is: "done", routesUntil: tomorrow }, sinceMs })).toEqual({
    is: "done",
    at: new Date(now.getTime() - 60_000),
  });
});

test("what is left in the zone fits an event, however much it is", () => {
  const many = Array.from({ length: 64 }, (_, nth) => ({ name: `record-${nth}.nine.example.`, type: "TXT" }));
  const text = leftInZone("nine.example", many, "x".repeat(2_000));
  expect(text.length).toBeLessThan(1_024);
  expect(text).toMatch(/delete them by hand: TXT record-0\.nine\.example\., /);
  expect(leftInZone("nine.example", [], "no answer")).toBe(
    "DNS records of nine.example are left in the zone (no answer): delete them by hand: TXT _chatmail-owner.nine.example.",
  );
});
