import { describe, expect, test } from "vitest";
import { RateLimiter } from "../../../src/relay/rate.ts";

describe("RateLimiter", () => {
  test("lets a burst through, then one for each period, and each key by itself", () => {
    let now = 0;
    const limiter = new RateLimiter(() => now);
    const take = (key = "a") => limiter.take(key, { perMinute: 60, burst: 10 })?.getTime();
    for (let count = 0; count < 10; count++) expect(take()).toBeUndefined();
    expect(take()).toBe(1000);
    expect(take("b")).toBeUndefined();
    now = 999;
    expect(take()).toBe(1000);
    now = 1000;
    expect(take()).toBeUndefined();
    expect(take()).toBe(2000);
    now = 60_000;
    for (let count = 0; count < 10; count++) expect(take()).toBeUndefined();
    expect(take()).toBe(61_000);
  });

  test("takes so many turns at once, such as bytes, and tells when they will be there", () => {
    let now = 0;
    const limiter = new RateLimiter(() => now);
    const rate = { perMinute: 600, burst: 100 };
    const take = (turns: number) => limiter.take("a", rate, turns)?.getTime();
    expect(limiter.next("a", rate, 100)).toBeUndefined();
    expect(take(60)).toBeUndefined();
    expect(limiter.next("a", rate, 40)).toBeUndefined();
    expect(take(50)).toBe(1000);
    expect(take(40)).toBeUndefined();
    now = 1000;
    expect(take(10)).toBeUndefined();
    expect(take(1)).toBe(1100);
    // more than a burst: as much as a burst
    expect(take(1000)).toBe(11_000);
    now = 11_000;
    expect(take(1000)).toBeUndefined();
    expect(take(1)).toBe(11_100);
  });

  test("forgets those whose burst is full again", () => {
    let now = 0;
    const limiter = new RateLimiter(() => now);
    for (let key = 0; key < 100_000; key++) {
      now += 10;
      limiter.take(String(key), { perMinute: 60, burst: 10 });
    }
    expect(limiter.size).toBeLessThan(3000);
  });

  test("a clock that was set back locks nobody out for longer than the limit could", () => {
    let now = 1_000_000;
    const limiter = new RateLimiter(() => now);
    const take = () => limiter.take("a", { perMinute: 60, burst: 2 })?.getTime();
    expect([take(), take(), take()]).toEqual([undefined, undefined, 1_001_000]);
    now = 0;
    expect(take()).toBe(1000);
    now = 1000;
    expect(take()).toBeUndefined();
  });
});
