import { expect, test } from "vitest";
import { UnfinishedMessages } from "../../../../src/relay/receive/unfinished.ts";

function messages(limits = { each: 100, total: 250 }) {
  const unfinished = new UnfinishedMessages(() => limits);
  const dropped: string[] = [];
  const begin = (name: string) => unfinished.begin(name[0] ?? "", () => dropped.push(name));
  return { unfinished, dropped, begin };
}

test("a client's largest message gives way to its others", () => {
  const { unfinished, dropped, begin } = messages();
  const [one, two] = [begin("a1"), begin("a2")];
  one.add(60);
  two.add(40);
  expect(dropped).toEqual([]);
  two.add(1);
  expect(dropped).toEqual(["a1"]);
  expect(unfinished.bytes).toBe(41);
  // what still comes of it does not count, and drops nothing
  one.add(1000);
  one.end();
  expect(unfinished.bytes).toBe(41);
});

test("what is whole counts no more", () => {
  const { unfinished, dropped, begin } = messages();
  for (let count = 0; count < 10; count++) {
    const message = begin("a1");
    message.add(90);
    message.end();
  }
  expect(dropped).toEqual([]);
  expect(unfinished.bytes).toBe(0);
});

test("where all have too much, the client with most gives way, not the newcomer", () => {
  const { dropped, begin } = messages();
  begin("a1").add(50);
  begin("a2").add(49);
  begin("b1").add(95);
  begin("c1").add(56);
  expect(dropped).toEqual([]);
  begin("d1").add(1);
  expect(dropped).toEqual(["a1"]);
});
