import { expect, test } from "vitest";
import { base64Value, parseTags } from "../../../src/dkim/tags.ts";

test.each([
  { text: "a=1", tags: { a: "1" } },
  { text: " a = 1 ; b=\r\n 2;", tags: { a: "1", b: "2" } },
  { text: "a=;b==", tags: { a: "", b: "=" } },
  { text: "A=1;a=2", tags: { A: "1", a: "2" } },
  { text: 'n=caf\xe9 (x) "y"; _x1=2', tags: undefined },
  { text: 'n=caf\xe9 (x) "y"; x_1=2', tags: { n: 'caf\xe9 (x) "y"', x_1: "2" } },
  { text: "a=1;;b=2; ;", tags: { a: "1", b: "2" } },
  { text: "a=1;a=1", tags: undefined },
  { text: "a", tags: undefined },
  { text: "a=1;b", tags: undefined },
  { text: "=1", tags: undefined },
  { text: "1a=1", tags: undefined },
  { text: "a b=1", tags: undefined },
  { text: "a=1\x00", tags: undefined },
  { text: "", tags: undefined },
  { text: ";;", tags: undefined },
  { text: `a=${"x".repeat(70_000)}`, tags: undefined },
])("$text", ({ text, tags }) => {
  const parsed = parseTags(text);
  expect(parsed && Object.fromEntries(parsed)).toEqual(tags);
});

test("__proto__ is a tag like any other", () => {
  expect(parseTags("constructor=1;hasOwnProperty=2")?.get("constructor")).toBe("1");
  expect(parseTags("constructor=1")?.get("toString")).toBeUndefined();
});

test.each([
  { text: "YWJj", value: "abc" },
  { text: " YW\r\n Jj\t", value: "abc" },
  { text: "YWI=", value: "ab" },
  { text: "YWI", value: "ab" },
  { text: "YQ==", value: "a" },
  { text: "", value: undefined },
  { text: "YWJjZ", value: undefined },
  { text: "YW-_", value: undefined },
  { text: "YQ==YQ==", value: undefined },
  { text: "YWJj===", value: undefined },
  { text: "===", value: undefined },
])("base64 $text", ({ text, value }) => {
  expect(base64Value(text)?.toString()).toBe(value);
});
