import { expect, test } from "vitest";
import { isSelected, limitOf } from "../../../../src/operator/rollout/policy.ts";

test.each([
  { maxUnavailable: 3, size: 10, limit: 3 },
  { maxUnavailable: "3", size: 10, limit: 3 },
  { maxUnavailable: "5%", size: 1000, limit: 50 },
  { maxUnavailable: "5%", size: 39, limit: 1 },
  { maxUnavailable: "5%", size: 3, limit: 1 },
  { maxUnavailable: "100%", size: 7, limit: 7 },
  { maxUnavailable: 0, size: 7, limit: 1 },
  { maxUnavailable: "many", size: 7, limit: 1 },
])("of $size servers $limit may be unavailable by $maxUnavailable", ({ maxUnavailable, size, limit }) => {
  expect(limitOf({ maxUnavailable }, size)).toBe(limit);
});

test.each([
  { selector: {}, labels: {}, is: true },
  { selector: { matchLabels: { ring: "canary" } }, labels: { ring: "canary", a: "b" }, is: true },
  { selector: { matchLabels: { ring: "canary" } }, labels: {}, is: false },
  { selector: expression("In", ["a", "b"]), labels: { ring: "b" }, is: true },
  { selector: expression("In", ["a", "b"]), labels: {}, is: false },
  { selector: expression("NotIn", ["a"]), labels: {}, is: true },
  { selector: expression("NotIn", ["a"]), labels: { ring: "a" }, is: false },
  { selector: expression("Exists"), labels: { ring: "" }, is: true },
  { selector: expression("Exists"), labels: {}, is: false },
  { selector: expression("DoesNotExist"), labels: {}, is: true },
  { selector: expression("DoesNotExist"), labels: { ring: "" }, is: false },
])("$selector of $labels: $is", ({ selector, labels, is }) => {
  expect(isSelected(labels, selector)).toBe(is);
});

function expression(operator: "In" | "NotIn" | "Exists" | "DoesNotExist", values?: string[]) {
  return { matchExpressions: [{ key: "ring", operator, ...(values && { values }) }] };
}
