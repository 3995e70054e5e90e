import { expect, test } from "vitest";
import { bytesOf } from "../../../src/api/quantity.ts";

test.each([
  ["1", 1],
  ["7k", 7_000],
  ["500Mi", 524_288_000],
  ["1Gi", 1_073_741_824],
  ["2T", 2e12],
])("%s is %d bytes", (quantity, bytes) => {
  expect(bytesOf(quantity)).toBe(bytes);
});

test.each(["", "0", "-1", "1.5Gi", "1GB", " 1Gi", "1Gi\n", "1e3", "Mi"])("%j is no size", (quantity) => {
  expect(() => bytesOf(quantity)).toThrow(RangeError);
});
