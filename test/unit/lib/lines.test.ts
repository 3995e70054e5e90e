import { expect, test } from "vitest";
import { LineReader, LineTooLong } from "../../../src/lib/lines.ts";
import { randomFrom, seed } from "../relay/random.ts";

test(`lines come out the same in any chunks, seed ${seed}`, () => {
  const random = randomFrom(seed);
  for (let round = 0; round < 500; round++) {
    const text = Array.from({ length: random.below(60) }, () => random.pick(["a", "bc", "\n", "\t"])).join("");
    const reader = new LineReader(200);
    const lines: string[] = [];
    for (let at = 0; at < text.length; ) {
      const size = 1 + random.below(7);
      lines.push(...reader.push(Buffer.from(text.slice(at, at + size))).map(String));
      at += size;
    }
    expect(lines).toEqual(text.split("\n").slice(0, -1));
  }
});

test.each([1, 2, 3, 5, 7, 11, 1_000])("a character is not broken by pieces of %i bytes", (size) => {
  const bytes = Buffer.from('{"a":"é"}\n\n{"b":"日本"}\n');
  const reader = new LineReader(100);
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += size) lines.push(...reader.push(bytes.subarray(at, at + size)).map(String));
  expect(lines).toEqual(['{"a":"é"}', "", '{"b":"日本"}']);
});

test("what has no end yet is no line", () => {
  expect(new LineReader(10).push(Buffer.from("half"))).toEqual([]);
});

test.each(["x".repeat(11), `${"x".repeat(11)}\n`, `a\n${"x".repeat(11)}`])("a line too long is refused", (text) => {
  expect(() => new LineReader(10).push(Buffer.from(text))).toThrow(LineTooLong);
});

test("a long line in single bytes is whole", () => {
  const reader = new LineReader(100_000);
  const byte = Buffer.from("x");
  for (let left = 5000; left > 0; left--) expect(reader.push(byte)).toEqual([]);
  expect(reader.push(Buffer.from("\n")).map(String)).toEqual(["x".repeat(5000)]);
});

test("the rest of a chunk does not keep the chunk", () => {
  const reader = new LineReader(100);
  const chunk = Buffer.alloc(65_536, "x\n");
  chunk.write("y", chunk.length - 1);
  reader.push(chunk);
  chunk.fill("z");
  expect(reader.push(Buffer.from("\n")).map(String)).toEqual(["xy"]);
});
