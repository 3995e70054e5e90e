import { expect, test } from "vitest";
import { Turns } from "../../../../src/relay/mailbox/turns.ts";

const longMs = 60_000;

test("who wants several mailboxes waits for all of them, and holds none meanwhile", async () => {
  const turns = new Turns();
  const done: string[] = [];
  const freeA = await turns.take(["a"], longMs);
  const both = turns.take(["a", "b"], longMs).then((free) => {
    done.push("both");
    free?.();
  });
  const freeB = await turns.take(["b"], longMs);
  done.push("b");
  freeA?.();
  await turns.take(["a"], longMs).then((free) => free?.());
  done.push("a");
  freeB?.();
  await both;
  expect(done).toEqual(["b", "a", "both"]);
});

test("those who want the same one get it in their order", async () => {
  const turns = new Turns();
  const first = await turns.take(["a"], longMs);
  const done: number[] = [];
  const others = [1, 2, 3].map((each) =>
    turns.take(["a"], longMs).then((free) => {
      done.push(each);
      free?.();
    }),
  );
  first?.();
  await Promise.all(others);
  expect(done).toEqual([1, 2, 3]);
});

test("one that is in use for too long is not waited for", async () => {
  const turns = new Turns();
  const free = await turns.take(["a", "b"], longMs);
  expect(await turns.take(["b", "c"], 5)).toBeUndefined();
  expect(await turns.take(["c"], 5)).toBeDefined();
  free?.();
  expect(await turns.take(["b"], 5)).toBeDefined();
});
