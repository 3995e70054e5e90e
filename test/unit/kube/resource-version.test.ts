import { expect, test } from "vitest";
import { isOlder, newest } from "../../../src/kube/resource-version.ts";

test.each([
  { version: "9", than: "10", older: true },
  { version: "10", than: "9", older: false },
  { version: "10", than: "10", older: false },
  { version: "9007199254740992", than: "9007199254740993", older: true },
  { version: "abc", than: "10", older: false },
  { version: "1", than: "abc", older: false },
  { version: undefined, than: "1", older: false },
  { version: "1", than: undefined, older: false },
  { version: "01", than: "2", older: false },
])("$version older than $than: $older", ({ version, than, older }) => {
  expect(isOlder(version, than)).toBe(older);
});

test("the newest of two, where one may be unknown", () => {
  expect([newest(undefined, "1"), newest("1", undefined), newest("9", "10"), newest("10", "9")]).toEqual([
    "1",
    "1",
    "10",
    "10",
  ]);
});
