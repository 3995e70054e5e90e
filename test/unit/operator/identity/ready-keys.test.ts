import { describe, expect, test } from "vitest";
import { nextStep, ReadyKeys } from "../../../../src/operator/identity/ready-keys.ts";

const minute = 60_000;
const idle = { agesMs: [], sinceNeedMs: minute, loopShare: 0 };

test.each([
  { when: "there is none", state: {}, step: { forget: 0, make: true } },
  { when: "there is one", state: { agesMs: [minute] }, step: { forget: 0, make: true } },
  { when: "there are enough", state: { agesMs: [minute, minute] }, step: { forget: 0, make: false } },
  { when: "one was needed a moment ago", state: { sinceNeedMs: 4_999 }, step: { forget: 0, make: false } },
  { when: "the operator is at work", state: { loopShare: 0.1 }, step: { forget: 0, make: false } },
  { when: "the oldest is too old", state: { agesMs: [60 * minute, minute] }, step: { forget: 1, make: true } },
  {
    when: "all are too old, and the operator is at work",
    state: { agesMs: [61 * minute, 60 * minute], loopShare: 0.9 },
    step: { forget: 2, make: false },
  },
])("when $when", ({ state, step }) => expect(nextStep({ ...idle, ...state })).toEqual(step));

describe("the keys", () => {
  const setUp = () => {
    const at = { now: 0, made: 0, fails: false };
    const make = async () => {
      if (at.fails) throw new Error("no entropy");
      return `key ${++at.made}`;
    };
    return { at, keys: new ReadyKeys({ make, now: () => at.now }) };
  };

  test("are made one by one, and each is given once", async () => {
    const { at, keys } = setUp();
    for (let looks = 0; looks < 5; looks++) {
      at.now += 5_000;
      await keys.step(0);
    }
    expect(at.made).toBe(2);
    expect(await Promise.all([keys.take(), keys.take(), keys.take()])).toEqual(["key 1", "key 2", "key 3"]);
  });

  test("are not made while others need them", async () => {
    const { at, keys } = setUp();
    at.now = 60_000;
    await keys.take();
    await keys.step(0);
    expect(at.made).toBe(1);
  });

  test("are forgotten after an hour", async () => {
    const { at, keys } = setUp();
    at.now = 5_000;
    await keys.step(0);
    at.now += 60 * minute;
    await keys.step(1);
    expect(await keys.take()).toBe("key 2");
  });

  test("one that can't be made is an error to who needs it alone", async () => {
    const { at, keys } = setUp();
    at.now = 5_000;
    at.fails = true;
    await keys.step(0);
    await expect(keys.take()).rejects.toThrow("no entropy");
  });

  test("none is left when the operator no longer leads", async () => {
    const { at, keys } = setUp();
    at.now = 5_000;
    await keys.step(0);
    await keys.run(AbortSignal.abort());
    expect(await keys.take()).toBe("key 2");
  });
});
