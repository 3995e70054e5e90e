import { expect, test } from "vitest";
import { LineReader, LineTooLong } from "../../../../src/relay/wire/lines.ts";
import { randomFrom, seed } from "../random.ts";

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

test.each(["x".repeat(11), `${"x".repeat(11)}\n`, `a\n${"x".repeat(11)}`])("a line too long is refused", (text) => {
  expect(() => new LineReader(10).push(Buffer.from(text))).toThrow(LineTooLong);
});
