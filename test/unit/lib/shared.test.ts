import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { shared } from "../../../src/lib/shared.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["performance"] }));
afterEach(() => void vi.useRealTimers());

test("who asks together gets one answer, who asks later another", async () => {
  let asked = 0;
  const ask = shared(async () => ++asked, 1_000);
  expect([await Promise.all([ask(), ask(), ask()]), await ask()]).toEqual([[1, 1, 1], 2]);
});

test("a failure is everybody's who waited, and not kept", async () => {
  let asked = 0;
  const ask = shared(async () => {
    if (++asked === 1) throw new Error("no");
    return asked;
  }, 1_000);
  const both = await Promise.allSettled([ask(), ask()]);
  expect([both.map(({ status }) => status), await ask()]).toEqual([["rejected", "rejected"], 2]);
});

test("an answer that does not come is not waited for by those who ask afterwards", async () => {
  let asked = 0;
  const ask = shared(() => (++asked === 1 ? new Promise<number>(() => {}) : Promise.resolve(asked)), 1_000);
  void ask();
  vi.advanceTimersByTime(999);
  void ask();
  expect(asked).toBe(1);
  vi.advanceTimersByTime(1);
  expect(await ask()).toBe(2);
});
