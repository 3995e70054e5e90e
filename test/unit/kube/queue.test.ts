import { expect, test, vi } from "vitest";
import { runWorkers } from "../../../src/kube/controller.ts";
import { WorkQueue } from "../../../src/kube/queue.ts";
import { keptLog } from "../../helpers/fake-api-server.ts";
import { until } from "../../helpers/until.ts";

const backOff = { firstMs: 10, mostMs: 40 };

test("a key that is added twice is taken once", async () => {
  const queue = new WorkQueue();
  queue.add("a");
  queue.add("a");
  expect(await queue.take()).toBe("a");
  expect(queue.depth).toBe(0);
});

test("a key that is added while it is worked on comes again afterwards, not at the same time", async () => {
  const queue = new WorkQueue();
  queue.add("a");
  await queue.take();
  queue.add("a");
  queue.add("a");
  expect(queue.depth).toBe(0);
  queue.done("a");
  expect(queue.depth).toBe(1);
});

test("later is later, earlier wins, and now wins over both", async () => {
  vi.useFakeTimers();
  try {
    const queue = new WorkQueue();
    queue.addAfter("a", 1_000);
    queue.addAfter("a", 100);
    queue.addAfter("a", 5_000);
    vi.advanceTimersByTime(99);
    expect(queue.depth).toBe(0);
    vi.advanceTimersByTime(2);
    expect(queue.depth).toBe(1);
    queue.addAfter("b", 100);
    queue.add("b");
    expect(await queue.take()).toBe("a");
    expect(await queue.take()).toBe("b");
    vi.advanceTimersByTime(10_000);
    expect(queue.depth).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});

test("a date beyond what a timer can hold is no date of now", () => {
  vi.useFakeTimers();
  try {
    const queue = new WorkQueue();
    queue.addAfter("a", 100 * 365 * 86_400_000);
    vi.advanceTimersByTime(60_000);
    expect(queue.depth).toBe(0);
    queue.close();
  } finally {
    vi.useRealTimers();
  }
});

/** Runs workers until `enough`, and tells how many were at work at once in all and per key. */
async function run(options: { workers: number; keys: string[]; work: (key: string, nth: number) => Promise<void> }) {
  const stopping = new AbortController();
  const queue = new WorkQueue({ backOff });
  const counts = new Map<string, number>();
  const atWork = new Map<string, number>();
  const most = { all: 0, perKey: 0 };
  const log = keptLog();
  const done = runWorkers({
    queue,
    workers: options.workers,
    signal: stopping.signal,
    log,
    reconcile: async (key) => {
      const nth = (counts.get(key) ?? 0) + 1;
      counts.set(key, nth);
      atWork.set(key, (atWork.get(key) ?? 0) + 1);
      most.perKey = Math.max(most.perKey, atWork.get(key) ?? 0);
      most.all = Math.max(
        most.all,
        [...atWork.values()].reduce((a, b) => a + b),
      );
      try {
        await options.work(key, nth);
      } finally {
        atWork.set(key, (atWork.get(key) ?? 0) - 1);
      }
      return {};
    },
  });
  for (const key of options.keys) queue.add(key);
  const stop = () => {
    stopping.abort();
    return done;
  };
  return { queue, counts, most, log, stop };
}

test("many keys share the workers, one key never runs twice at once", async () => {
  const pause = () => new Promise<void>((resolve) => setTimeout(resolve, 3));
  const keys = Array.from({ length: 30 }, (_, nth) => `k${nth % 10}`);
  const { queue, counts, most, stop } = await run({ workers: 4, keys, work: pause });
  const busy = setInterval(() => queue.add("k1"), 1);
  await until("all keys", () => counts.size === 10);
  clearInterval(busy);
  await stop();
  expect(most).toEqual({ all: 4, perKey: 1 });
});

test("what throws is logged and tried again, and again", async () => {
  const work = async (_key: string, nth: number) => {
    if (nth < 4) throw new Error("not yet");
  };
  const { counts, log, stop } = await run({ workers: 2, keys: ["a"], work });
  await until("the fourth try", () => counts.get("a") === 4);
  await stop();
  const failed = log.lines.filter((line) => line.message === "reconcile failed");
  expect(failed.map((line) => line.level)).toEqual(Array(3).fill("error"));
});

test("stopping waits for work in hand and takes no more", async () => {
  let finish = () => {};
  const held = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const { counts, stop } = await run({ workers: 1, keys: ["a", "b"], work: () => held });
  await until("the first", () => counts.size === 1);
  const stopped = stop();
  finish();
  await stopped;
  expect([...counts.keys()]).toEqual(["a"]);
});
