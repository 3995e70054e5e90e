import { expect, test } from "vitest";
import { IdleFirst } from "../../../../src/relay/push/idle-first.ts";

const always = () => true;
const all = (turns: IdleFirst<string>) => {
  const taken: string[] = [];
  for (let item = turns.take(always); item !== undefined; item = turns.take(always)) taken.push(item);
  return taken;
};

function turnsOf(items: Record<string, number>) {
  const turns = new IdleFirst<string>();
  for (const [account, count] of Object.entries(items))
    for (let nth = 1; nth <= count; nth++) turns.add(account, `${account}${nth}`);
  return turns;
}

test("each account in its turn, each account's in their order", () =>
  expect(all(turnsOf({ a: 3, b: 1, c: 2 }))).toEqual(["a1", "b1", "c1", "a2", "c2", "a3"]));

test("an account that comes anew does not wait for those that have had a turn", () => {
  const turns = turnsOf({ a: 100, b: 100 });
  for (let nth = 0; nth < 4; nth++) turns.take(always);
  turns.add("c", "c1");
  expect(turns.take(always)).toBe("c1");
});

test("one that comes again and again comes first once: it gets no more turns than others", () => {
  const turns = turnsOf({ a: 20, b: 20 });
  const taken: string[] = [];
  for (let nth = 0; nth < 15; nth++) {
    turns.add("c", "c");
    taken.push(turns.take(always)?.slice(0, 1) ?? "");
  }
  expect(taken.slice(0, 3)).toContain("a");
  for (const account of ["a", "b", "c"]) {
    const count = taken.filter((each) => each === account).length;
    expect(count).toBeGreaterThanOrEqual(4);
    expect(count).toBeLessThanOrEqual(6);
  }
});

test("what is not free keeps its place, and keeps nobody else waiting", () => {
  const turns = turnsOf({ a: 2, b: 1 });
  expect(turns.take((item) => !item.startsWith("a"))).toBe("b1");
  expect(turns.take((item) => item !== "a1")).toBe("a2");
  expect(turns.take((item) => item !== "a1")).toBeUndefined();
  expect(all(turns)).toEqual(["a1"]);
});

test("what was removed is not handed out, and an account can come again", () => {
  const turns = turnsOf({ a: 2 });
  turns.remove("a", "a1");
  turns.remove("a", "a2");
  turns.remove("nobody", "x");
  expect(turns.take(always)).toBeUndefined();
  turns.add("a", "a3");
  expect(all(turns)).toEqual(["a3"]);
});
