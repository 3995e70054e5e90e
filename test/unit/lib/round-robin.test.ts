import { expect, test } from "vitest";
import { RoundRobin } from "../../../src/lib/round-robin.ts";

/** Each item under the path that its letters are: "ab1" waits under a, and there under b. */
function waiting(...items: string[]): RoundRobin<string> {
  const turns = new RoundRobin<string>();
  for (const item of items) turns.add(pathOf(item), item);
  return turns;
}
const pathOf = (item: string) => item.replace(/\d+$/, "").split("");

function rest(turns: RoundRobin<string>): string[] {
  const taken: string[] = [];
  for (let item = turns.take(); item !== undefined; item = turns.take()) taken.push(item);
  return taken;
}

test.each([
  { items: [], order: [] },
  { items: ["a1", "a2", "b1", "c1", "b2"], order: ["a1", "b1", "c1", "a2", "b2"] },
  { items: ["ax1", "ax2", "ay1", "b1", "b2", "b3"], order: ["ax1", "b1", "ay1", "b2", "ax2", "b3"] },
])("$items go as $order", ({ items, order }) => {
  const turns = waiting(...items);
  expect(turns.items().sort()).toEqual([...items].sort());
  expect(rest(turns)).toEqual(order);
  expect([turns.empty, turns.take(), turns.removeLast()]).toEqual([true, undefined, undefined]);
});

test("a name that was served last comes last, and one that is new behind it", () => {
  const turns = waiting("a1", "a2", "b1", "b2");
  expect(turns.take()).toBe("a1");
  turns.add(["c"], "c1");
  expect(rest(turns)).toEqual(["b1", "a2", "c1", "b2"]);
});

test("who may not go keeps the place of its name, and keeps those behind it", () => {
  const turns = waiting("a1", "a2", "b1", "b2", "c1");
  expect(turns.take((item) => item !== "a1")).toBe("b1");
  expect(turns.take((item) => item !== "a1")).toBe("c1");
  expect(turns.take((item) => !/[ab]/.test(item))).toBeUndefined();
  expect(rest(turns)).toEqual(["a1", "b2", "a2"]);
});

test("the newest is removed, of a name or of the one that comes last", () => {
  const turns = waiting("a1", "a2", "b1", "b2", "cx1", "cy1");
  expect([turns.removeLast("a"), turns.removeLast("b"), turns.removeLast()]).toEqual(["a2", "b2", "cy1"]);
  expect([turns.removeLast("c"), turns.names(), turns.has("c")]).toEqual(["cx1", ["a", "b"], false]);
});

test("one is removed, and the others keep their order", () => {
  const turns = waiting("a1", "a2", "a3", "bx1");
  turns.remove(["a"], "a2");
  turns.remove(["a"], "a9");
  turns.remove(["b", "x"], "bx1");
  turns.remove(["z"], "z1");
  expect([turns.items("a"), turns.items("b"), turns.names()]).toEqual([["a1", "a3"], [], ["a"]]);
});
