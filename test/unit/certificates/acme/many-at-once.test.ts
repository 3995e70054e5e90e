/**
 * A thousand servers that share one account, and whose certificates end on one day: when each is
 * renewed, and how many orders that makes in a time. The time is simulated.
 */
import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { Pacing } from "../../../../src/certificates/acme/pacing.ts";
import { type RenewalWindow, type RenewedCertificate, renewalTime } from "../../../../src/certificates/acme/renewal.ts";
import { seededRandom } from "../../../helpers/seeded-random.ts";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const issued = Date.parse("2026-11-29T12:00:00Z");
const count = 1_000;
/** What Let's Encrypt allows an account. */
const allowed = { orders: 300, hours: 3 };

/** All were ordered within an hour. */
const certificates = (days: number): RenewedCertificate[] =>
  Array.from({ length: count }, (_, nth) => {
    const begins = issued + (nth / count) * hourMs;
    const text = (ms: number) => new Date(ms).toISOString();
    return {
      raw: createHash("sha256").update(`certificate ${days} ${nth}`).digest(),
      validFrom: text(begins),
      validTo: text(begins + days * dayMs),
    };
  });

interface Done {
  at: number;
  /** How often it was told to wait. */
  waited: number;
}

/**
 * When each is ordered. Nobody orders before `startsAt`; one that has to wait comes back when it
 * was told to, or up to a minute later.
 */
function renewAll(
  all: readonly RenewedCertificate[],
  options: { isRenewal?: boolean; window?: RenewalWindow; startsAt?: number } = {},
): Done[] {
  const { isRenewal = true, window, startsAt = 0 } = options;
  const pacing = new Pacing();
  const random = seededRandom(14);
  const due = all.map((each, nth) => ({
    nth,
    waited: 0,
    at: Math.max(startsAt, isRenewal ? renewalTime(each, window).getTime() : issued),
  }));
  const done: Done[] = [];
  while (due.length > 0) {
    due.sort((one, other) => other.at - one.at);
    const next = due.pop();
    if (!next) break;
    const wait = pacing.take({ domain: `${next.nth}.example.org`, isRenewal }, new Date(next.at));
    const laterMs = wait && wait.waitMs + Math.floor(random() * 60_000);
    if (laterMs) due.push({ ...next, at: next.at + laterMs, waited: next.waited + 1 });
    else done[next.nth] = { at: next.at, waited: next.waited };
  }
  return done;
}

/** The most orders in so many hours, whichever. */
function mostWithin(done: readonly Done[], hours: number): number {
  const times = done.map(({ at }) => at).sort((one, other) => one - other);
  let [most, from] = [0, 0];
  for (const [nth, at] of times.entries()) {
    while ((times[from] ?? at) <= at - hours * hourMs) from++;
    most = Math.max(most, nth - from + 1);
  }
  return most;
}

const hoursFrom = (start: number, done: readonly Done[]) => (Math.max(...done.map(({ at }) => at)) - start) / hourMs;

const hoursLeft = (all: readonly RenewedCertificate[], done: readonly Done[]) =>
  Math.min(
    ...all.map(({ validTo }, nth) => (Date.parse(validTo) - (done[nth]?.at ?? Number.POSITIVE_INFINITY)) / hourMs),
  );

describe("1,000 certificates that were issued within an hour, and end on one day", () => {
  test.each([
    { days: 90, perDay: 250, daysLeft: 29 },
    { days: 45, perDay: 450, daysLeft: 14 },
  ])("of $days days are renewed over days, without a wait", ({ days, perDay, daysLeft }) => {
    const all = certificates(days);
    const done = renewAll(all);
    expect(done.filter(({ waited }) => waited > 0)).toEqual([]);
    expect(mostWithin(done, 24)).toBeLessThan(perDay);
    expect(hoursLeft(all, done) / 24).toBeGreaterThan(daysLeft);
  });

  test("of six days: some wait for hours, and none comes near its end", () => {
    const all = certificates(6);
    const done = renewAll(all);
    expect(mostWithin(done, allowed.hours)).toBeLessThanOrEqual(allowed.orders);
    expect(hoursLeft(all, done)).toBeGreaterThan(40);
  });

  test.each([
    { when: "the operator was off until the day before", before: 24 },
    { when: "no authority could be reached until ten hours before", before: 10 },
  ])("$when: all are renewed in time, within what the authority allows", ({ before }) => {
    const all = certificates(90);
    const startsAt = issued + 90 * dayMs - before * hourMs;
    const done = renewAll(all, { startsAt });
    expect(mostWithin(done, allowed.hours)).toBeLessThanOrEqual(allowed.orders);
    expect(hoursLeft(all, done)).toBeGreaterThan(0);
    // four times 250, somewhat more than three hours apart
    expect(hoursFrom(startsAt, done)).toBeLessThan(9.6);
    expect(Math.max(...done.map(({ waited }) => waited))).toBe(1);
  });

  test("the authority wants all of them to be renewed within an hour", () => {
    const all = certificates(90);
    const start = new Date(issued + 30 * dayMs);
    const done = renewAll(all, { window: { start, end: new Date(start.getTime() + hourMs) } });
    expect(mostWithin(done, allowed.hours)).toBeLessThanOrEqual(allowed.orders);
    expect(hoursFrom(start.getTime(), done)).toBeLessThan(10.6);
  });
});

test("1,000 new servers below one domain: 45 a week, as many as the authority allows", () => {
  const done = renewAll(certificates(90), { isRenewal: false });
  expect(mostWithin(done, 7 * 24)).toBe(45);
  expect(done).toHaveLength(count);
});
