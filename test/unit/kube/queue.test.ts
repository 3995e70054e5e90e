import { expect, test, vi } from "vitest";
import { type Outcome, runWorkers } from "../../../src/kube/controller.ts";
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

interface Running extends Pick<Parameters<typeof runWorkers>[0], "levelOf"> {
  workers: number;
  keys: string[];
  work: (key: string, nth: number) => Promise<void>;
  /** Of every run that ends well. */
  outcome?: Outcome;
  pause?: typeof backOff;
  log?: ReturnType<typeof keptLog>;
}

/** Runs workers until stopped, and tells how many were at work at once in all and per key. */
async function run(options: Running) {
  const { workers, keys, work, outcome = {}, pause = backOff, log = keptLog(), ...more } = options;
  const stopping = new AbortController();
  const queue = new WorkQueue({ backOff: pause });
  const counts = new Map<string, number>();
  const atWork = new Map<string, number>();
  const most = { all: 0, perKey: 0 };
  const done = runWorkers({
    ...more,
    queue,
    workers,
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
        await work(key, nth);
        return outcome;
      } finally {
        atWork.set(key, (atWork.get(key) ?? 0) - 1);
      }
    },
  });
  for (const key of keys) queue.add(key);
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

/** Takes all that waits, one after the other. */
async function takeAll(queue: WorkQueue): Promise<string[]> {
  const keys: string[] = [];
  while (queue.depth > 0) {
    const key = await queue.take();
    if (key === undefined) break;
    keys.push(key);
    queue.done(key);
  }
  return keys;
}

test("edits go first, then changes, then the sweep", async () => {
  const queue = new WorkQueue();
  queue.add("a/sweep", "sweep");
  queue.add("a/change");
  queue.add("a/edit", "edit");
  expect(await takeAll(queue)).toEqual(["a/edit", "a/change", "a/sweep"]);
});

test("a key that waits moves up with an edit, and never down", async () => {
  const queue = new WorkQueue();
  for (const key of ["a/1", "a/2", "a/3"]) queue.add(key, "sweep");
  queue.add("a/3", "edit");
  queue.add("a/3", "sweep");
  expect([queue.depth, queue.depthOf("edit"), queue.depthOf("sweep")]).toEqual([3, 1, 2]);
  expect(await takeAll(queue)).toEqual(["a/3", "a/1", "a/2"]);
});

test("an edit while the key is worked on comes back as an edit", async () => {
  const queue = new WorkQueue();
  queue.add("a/1", "sweep");
  await queue.take();
  queue.add("a/1", "sweep");
  queue.add("a/1", "edit");
  queue.done("a/1");
  expect([queue.depthOf("edit"), queue.depthOf("sweep")]).toEqual([1, 0]);
});

test("edits without end do not starve a sweep", async () => {
  const queue = new WorkQueue();
  queue.add("a/sweep", "sweep");
  const taken: (string | undefined)[] = [];
  for (let nth = 0; nth < 10; nth++) {
    queue.add(`a/edit-${nth}`, "edit");
    taken.push(await queue.take());
  }
  expect(taken).toContain("a/sweep");
});

test("namespaces take turns: a thousand of one do not keep one of another waiting", async () => {
  const queue = new WorkQueue();
  for (let nth = 0; nth < 1_000; nth++) queue.add(`big/${nth}`);
  queue.add("small/1");
  queue.add("small/2");
  const first = [await queue.take(), await queue.take(), await queue.take(), await queue.take()];
  expect(first).toEqual(["big/0", "small/1", "big/1", "small/2"]);
});

test("each failure waits longer, up to the limit, until one goes well", async () => {
  vi.useFakeTimers();
  try {
    const queue = new WorkQueue({ backOff: { firstMs: 100, mostMs: 400 }, random: () => 1 });
    const waits = async (expectedMs: number) => {
      queue.retry("a/1");
      vi.advanceTimersByTime(expectedMs - 1);
      expect(queue.depth).toBe(0);
      vi.advanceTimersByTime(2);
      expect(queue.depth).toBe(1);
      await queue.take();
      queue.done("a/1");
    };
    for (const ms of [100, 200, 400, 400]) await waits(ms);
    queue.succeeded("a/1");
    await waits(100);
  } finally {
    vi.useRealTimers();
  }
});

const thrown = (fields: object) => Object.assign(new Error("no"), fields);

test.each([
  { what: "a lost connection", error: thrown({ code: "ECONNRESET" }), level: "warn" },
  { what: "a bug", error: new TypeError("x is undefined"), level: "error" },
  { what: "something that is no error", error: "text", level: "error" },
])("$what is logged as $level, and tried again", async ({ error, level }) => {
  const work = async () => {
    throw error;
  };
  const { counts, log, stop } = await run({ workers: 1, keys: ["a/1", "a/2"], work });
  await until("both keys", () => counts.size === 2 && (counts.get("a/1") ?? 0) > 1);
  await stop();
  expect(new Set(log.lines.map((line) => line.level))).toEqual(new Set([level]));
});

test("a reconcile that hangs is ended by its signal, and one that ignores even that is left behind by name", async () => {
  const stopping = new AbortController();
  const queue = new WorkQueue({ backOff });
  const log = keptLog();
  let tries = 0;
  const done = runWorkers({
    queue,
    workers: 2,
    signal: stopping.signal,
    log,
    runWithinMs: 30,
    stopWithinMs: 30,
    reconcile: (key, { signal }) =>
      new Promise((_resolve, reject) => {
        if (key === "a/deaf") return;
        tries++;
        signal.addEventListener("abort", () => reject(new Error("aborted")));
      }),
  });
  queue.add("a/hangs");
  queue.add("a/deaf");
  await until("a second try", () => tries === 2);
  stopping.abort();
  await done;
  expect(log.lines.at(-1)).toMatchObject({
    level: "error",
    message: "reconcile did not stop",
    fields: { keys: ["a/deaf"] },
  });
  expect(log.lines[0]).toMatchObject({ level: "warn", message: "not reconciled" });
});

test.each([
  {
    what: "that can't be told",
    levelOf: () => {
      throw new Error("bug");
    },
  },
  { what: "that the logger does not know", levelOf: () => "loud" },
])("a level of its own $what harms neither the key nor the others", async ({ levelOf }) => {
  const kept = keptLog();
  const log = {
    ...kept,
    child: (_fields: object, options?: { level?: string }) => {
      if (options?.level) throw new Error(`unknown level ${options.level}`);
      return kept;
    },
  };
  const { counts, stop } = await run({ workers: 1, keys: ["a/1", "a/2"], work: async () => {}, levelOf, log });
  await until("both keys", () => counts.size === 2);
  await stop();
  expect([...counts.values()]).toEqual([1, 1]);
  expect(kept.lines.filter(({ level }) => level === "warn")).toHaveLength(2);
});

test("a time that is no number is a bug of the reconcile, and backs off instead of running on and on", async () => {
  const pause = { firstMs: 60_000, mostMs: 60_000 };
  const outcome = { againMs: new Date("never").getTime() - Date.now() };
  const { counts, log, stop } = await run({ workers: 1, keys: ["a/1"], work: async () => {}, outcome, pause });
  await until("the error", () => log.lines.some(({ level }) => level === "error"));
  await stop();
  expect(counts.get("a/1")).toBe(1);
});

test("a time that is past means soon, not without pause", async () => {
  const stopping = new AbortController();
  const queue = new WorkQueue();
  const delays: number[] = [];
  queue.addAfter = (_key, ms) => void delays.push(ms);
  const reconcile = async () => ({ againMs: -60_000 });
  const ended = runWorkers({ queue, workers: 1, signal: stopping.signal, log: keptLog(), reconcile });
  queue.add("a/1");
  await until("its next time", () => delays.length === 1);
  stopping.abort();
  await ended;
  expect(delays).toEqual([100]);
});
