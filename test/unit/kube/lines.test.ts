import { expect, test } from "vitest";
import { lineSplitter } from "../../../src/kube/lines.ts";

const text = '{"a":"é"}\n\n{"b":"日本"}\n{"c":1}\n';

test.each([1, 2, 3, 5, 7, 11, 1_000])("lines are the same however the bytes are cut: pieces of %i", (size) => {
  const split = lineSplitter();
  const bytes = Buffer.from(text);
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += size) lines.push(...split(bytes.subarray(at, at + size)));
  expect(lines).toEqual(['{"a":"é"}', '{"b":"日本"}', '{"c":1}']);
});

test("what has no end yet is no line", () => {
  expect(lineSplitter()(Buffer.from("half"))).toEqual([]);
});

test("a stream without any line end is not kept for ever", () => {
  const split = lineSplitter();
  const chunk = Buffer.alloc(8 * 2 ** 20, "x");
  expect(() => {
    for (let nth = 0; nth < 20; nth++) split(chunk);
  }).toThrow(/a line of more than/);
});
