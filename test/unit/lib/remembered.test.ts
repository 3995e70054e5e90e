import { expect, test } from "vitest";
import { remembered } from "../../../src/lib/remembered.ts";

test("is asked once for the same texts, and again for those used longest ago", () => {
  const asked: string[] = [];
  const join = remembered((one: string, other: string) => {
    asked.push(`${one}|${other}`);
    return one === "" ? undefined : one + other;
  }, 2);
  expect([join("a", "bc"), join("ab", "c"), join("a", "bc")]).toEqual(["abc", "abc", "abc"]);
  expect(asked).toEqual(["a|bc", "ab|c"]);
  // also of one without a result; "ab|c" has to go
  expect([join("", "x"), join("", "x"), join("a", "bc"), join("ab", "c")]).toEqual([
    undefined,
    undefined,
    "abc",
    "abc",
  ]);
  expect(asked).toEqual(["a|bc", "ab|c", "|x", "ab|c"]);
});
