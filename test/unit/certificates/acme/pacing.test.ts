import { expect, test } from "vitest";
import { Pacing, registeredDomain } from "../../../../src/certificates/acme/pacing.ts";

const start = Date.parse("2026-11-29T12:00:00Z");
const at = (seconds: number) => new Date(start + seconds * 1_000);
const limits = { newOrders: { most: 3, withinMs: 60_000 }, certificates: { most: 2, withinMs: 600_000 } };
const order = (domain: string, isRenewal = false) => ({ domain, isRenewal });

test("so many orders of an account pass, and the next one when the first is over", () => {
  const pacing = new Pacing(limits);
  for (const nth of [0, 1, 2]) expect(pacing.take(order(`nine.${nth}.test`), at(nth))).toBeUndefined();
  expect(pacing.take(order("nine.4.test"), at(10))).toEqual({
    waitMs: 50_000,
    says: "the account has ordered 3 certificates in a short time",
  });
  expect(pacing.take(order("nine.4.test"), at(60))).toBeUndefined();
  expect(pacing.take(order("nine.5.test"), at(60))?.waitMs).toBe(1_000);
});

test("of those that wait each has a time of its own, however often it asks", () => {
  const pacing = new Pacing(limits);
  for (const nth of [0, 1, 2]) expect(pacing.take(order(`nine.${nth}.test`), at(nth))).toBeUndefined();
  const waits = [3, 4, 5, 6].map((nth) => pacing.take(order(`nine.${nth}.test`), at(10))?.waitMs);
  expect(waits).toEqual([50_000, 51_000, 52_000, 110_000]);
  expect(pacing.take(order("nine.5.test"), at(61))?.waitMs).toBe(1_000);
  expect(pacing.take(order("nine.5.test"), at(62))).toBeUndefined();
  expect(pacing.take(order("nine.6.test"), at(62))?.waitMs).toBe(58_000);
  // in its turn, though it is late; then too late
  expect(pacing.take(order("nine.4.test"), at(70))).toBeUndefined();
  expect(pacing.take(order("nine.3.test"), at(60 + 600))).toBeUndefined();
  expect(pacing.take(order("nine.6.test"), at(120))).toBeUndefined();
});

test("who does not come in time waits again, and many who are late are not let through at once", () => {
  const pacing = new Pacing(limits);
  for (let nth = 0; nth < 9; nth++) pacing.take(order(`nine.${nth}.test`), at(0));
  const late = [3, 4, 5, 6, 7, 8].map((nth) => pacing.take(order(`nine.${nth}.test`), at(7_200))?.waitMs);
  expect(late).toEqual([undefined, undefined, undefined, 60_000, 60_000, 60_000]);
});

test("so many first certificates of one registered domain pass, and any number of renewals", () => {
  const pacing = new Pacing({ ...limits, newOrders: { most: 100, withinMs: 1 } });
  for (const nth of [0, 1]) expect(pacing.take(order(`${nth}.example.org`), at(nth))).toBeUndefined();
  expect(pacing.take(order("c.example.org"), at(2))).toEqual({
    waitMs: 598_000,
    says: "2 certificates below example.org were ordered within a week",
  });
  expect(pacing.take(order("c.example.org", true), at(2))).toBeUndefined();
  expect(pacing.take(order("c.example.net"), at(3))).toBeUndefined();
});

test("an authority that is overloaded is left alone by all", () => {
  const pacing = new Pacing(limits);
  pacing.pause(30_000, at(0));
  pacing.pause(10_000, at(0));
  expect(pacing.take(order("a.test"), at(1))?.waitMs).toBe(29_000);
  expect(pacing.take(order("a.test"), at(30))).toBeUndefined();
});

test.each([
  ["nine.example.org", "example.org"],
  ["example.org", "example.org"],
  ["a.b.example.co.uk", "example.co.uk"],
  ["a.example.com.au", "example.com.au"],
  ["a.b.example.de", "example.de"],
])("%s is below %s", (domain, registered) => {
  expect(registeredDomain(domain)).toBe(registered);
});
