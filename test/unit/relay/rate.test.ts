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
