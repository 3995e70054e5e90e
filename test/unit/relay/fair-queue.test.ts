import { describe, expect, test } from "vitest";
import { FairQueue, QueueFull, type Share } from "../../../src/relay/fair-queue.ts";
import { randomFrom, seed } from "./random.ts";

/** Work ends when the test says so; `order` has what was started. */
function aQueue(over: Partial<ConstructorParameters<typeof FairQueue>[0]> = {}) {
  const queue = new FairQueue({ atOnce: 1, mostOfAccount: 16, mostOfPair: 4, most: 20, ...over });
  const order: string[] = [];
  const refused: string[] = [];
  const ends: (() => void)[] = [];
  const add = (name: string, share: Partial<Share> = {}) =>
    queue
      .run({ network: "n", client: "c", account: name, urgent: false, mostOfNetwork: 300, ...share }, () => {
        order.push(name);
        return new Promise<void>((resolve) => ends.push(resolve));
      })
      .catch((thrown: unknown) => {
        if (!(thrown instanceof QueueFull)) throw thrown;
        refused.push(name);
      });
  const finishAll = async () => {
    for (let end = ends.shift(); end; end = ends.shift()) {
      end();
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return { queue, add, order, refused, finishAll };
}

const of = (client: string, network = client) => ({ client, network });

test("turns go by network, then by client, then by account", async () => {
  const { add, order, finishAll } = aQueue();
  void add("running");
  for (const name of ["a1", "a2", "a3"]) void add(name, of("a", "big"));
  for (const name of ["b1", "b2"]) void add(name, of("b", "big"));
  for (const name of ["c1", "c2"]) void add(name, of("c"));
  await finishAll();
  expect(order).toEqual(["running", "a1", "c1", "b1", "c2", "a2", "b2", "a3"]);
});

test("accounts of one client take turns, and each keeps its order", async () => {
  const { add, order, finishAll } = aQueue();
  void add("running");
  for (const name of ["x1", "x2", "y1", "x3", "y2"]) void add(name, { client: "a", account: name.slice(0, 1) });
  await finishAll();
  expect(order).toEqual(["running", "x1", "y1", "x2", "y2", "x3"]);
});

test("urgent work is first, by turns as well", async () => {
  const { add, order, finishAll } = aQueue();
  void add("running");
  void add("slow", of("a"));
  for (const name of ["b1", "b2"]) void add(name, { ...of("b"), urgent: true });
  void add("c1", { ...of("c"), urgent: true });
  await finishAll();
  expect(order).toEqual(["running", "b1", "c1", "b2", "slow"]);
});

describe("bounds", () => {
  const times = (count: number) => Array.from({ length: count }, (_, index) => index);

  test.each([
    { what: "one client and account", share: { account: "x" }, more: 4 },
    { what: "one client and account, urgent", share: { account: "x", urgent: true }, more: 4 },
    { what: "one network", share: { mostOfNetwork: 7 }, more: 7 },
    { what: "one network, urgent", share: { mostOfNetwork: 7, urgent: true }, more: 7 },
  ])("$what: $more wait and no more", async ({ share, more }) => {
    const { add, refused, queue } = aQueue();
    for (const index of times(12)) void add(`${index}`, share);
    await Promise.resolve();
    expect(queue.waiting).toBe(more);
    expect(refused).toHaveLength(11 - more);
  });

  test("one account of many clients: owners that are urgent do not count", async () => {
    const { add, refused, order, finishAll } = aQueue({ mostOfAccount: 3 });
    void add("running");
    for (const index of times(9)) void add(`${index}`, { ...of(`c${index}`), account: "x" });
    void add("owner", { ...of("o"), account: "x", urgent: true });
    await finishAll();
    expect(refused).toHaveLength(6);
    expect(order[1]).toBe("owner");
  });

  test("in total: the busiest network makes room for others, and for none of its own", async () => {
    const { add, refused, order, finishAll } = aQueue({ most: 10 });
    void add("running");
    for (const index of times(12)) void add(`big ${index}`, of(`c${index}`, "big"));
    for (const index of times(3)) void add(`other ${index}`, of(`o${index}`));
    await finishAll();
    expect(refused.sort()).toEqual(["big 10", "big 11", "big 7", "big 8", "big 9"]);
    expect(order.slice(0, 8)).toEqual(["running", "big 0", "other 0", "other 1", "other 2", "big 1", "big 2", "big 3"]);
  });

  test("nothing is refused while something may start at once", async () => {
    const { add, refused, order, finishAll } = aQueue({ mostOfPair: 0, mostOfAccount: 0, most: 0 });
    void add("a");
    await finishAll();
    expect([order, refused]).toEqual([["a"], []]);
  });
});

test("a failure is the caller's, and the next starts", async () => {
  const queue = new FairQueue({ atOnce: 1, mostOfAccount: 9, mostOfPair: 9, most: 9 });
  const share = { network: "n", client: "c", account: "a", urgent: false, mostOfNetwork: 9 };
  const failed = queue.run(share, () => Promise.reject(new Error("no")));
  const next = queue.run(share, async () => "next");
  await expect(failed).rejects.toThrow("no");
  expect(await next).toBe("next");
  expect(queue.waiting).toBe(0);
});

test(`whatever comes, each work ends once and nothing is left, seed ${seed}`, async () => {
  const random = randomFrom(seed);
  const queue = new FairQueue({ atOnce: 2, mostOfAccount: 5, mostOfPair: 3, most: 15 });
  let [started, refused] = [0, 0];
  const all = Array.from({ length: 2000 }, async (_, index) => {
    if (index % 40 === 0) await new Promise((resolve) => setImmediate(resolve));
    const client = `c${random.below(6)}`;
    const share = { network: `n${random.below(3)}`, client, account: `a${random.below(4)}`, mostOfNetwork: 8 };
    await queue
      .run({ ...share, urgent: random.below(4) === 0 }, async () => {
        started++;
        await new Promise((resolve) => setImmediate(resolve));
      })
      .catch(() => refused++);
  });
  await Promise.all(all);
  expect(started + refused).toBe(2000);
  expect(queue.waiting).toBe(0);
});
