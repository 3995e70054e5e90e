import { afterEach, expect, test } from "vitest";
import { HashPool, type HashPoolOptions } from "../../../../src/relay/accounts/hash-pool.ts";
import { until } from "../../../helpers/until.ts";

const workerFile = new URL("../../../../src/relay/accounts/hash-worker.ts", import.meta.url);
const job = { kind: "hash", password: "secret", setting: "$6$salt$" } as const;

let pool: HashPool;
const poolOf = (over: Partial<HashPoolOptions> = {}) => {
  pool = new HashPool({ workerFile, threads: 2, ...over });
  return pool;
};
afterEach(() => pool.close());

test("threads come with work, no more than allowed, and go when there is none", async () => {
  poolOf({ restMs: 50 });
  expect(pool.threads).toBe(0);
  const jobs = Array.from({ length: 10 }, () => pool.run(job));
  expect(pool.threads).toBe(2);
  const results = await Promise.all(jobs);
  expect(new Set(results).size).toBe(1);
  await until("the threads to rest", () => pool.threads === 0);
  expect(await pool.run(job)).toBe(results[0]);
});

test("the event loop goes on meanwhile", async () => {
  poolOf();
  let turns = 0;
  const ticking = setInterval(() => turns++, 1);
  await pool.run({ ...job, setting: "$6$rounds=100000$salt$" });
  clearInterval(ticking);
  expect(turns).toBeGreaterThan(10);
});

test("more than it can do in time is turned away at once", async () => {
  poolOf({ threads: 1, maxWaiting: 3 });
  const results = await Promise.allSettled(Array.from({ length: 10 }, () => pool.run(job)));
  expect(results.filter((each) => each.status === "fulfilled")).toHaveLength(4);
});

test("a worker that can't start fails its work, and no more", async () => {
  poolOf({ workerFile: new URL("./nowhere.ts", import.meta.url) });
  await expect(pool.run(job)).rejects.toThrow();
  await expect(pool.run(job)).rejects.toThrow();
});

test("closing ends what waits", async () => {
  poolOf({ threads: 1 });
  const waiting = Array.from({ length: 3 }, () => pool.run({ ...job, setting: "$6$rounds=500000$salt$" }));
  const results = Promise.allSettled(waiting);
  await pool.close();
  expect((await results).map((each) => each.status)).toEqual(["rejected", "rejected", "rejected"]);
  await expect(pool.run(job)).rejects.toThrow();
});
