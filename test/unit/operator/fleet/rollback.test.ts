import { expect, test } from "vitest";
import { rollbackFields, rollbackFrom, rollbackIn } from "../../../../src/operator/fleet/rollback.ts";

test.each([
  { when: "some wait", images: ["new", "new", "old", "old", "older"], to: "old" },
  { when: "all but the one that failed are updated", images: ["new", "new", "old"], to: "old" },
  { when: "one has never run", images: ["new", undefined, "old"], to: "old" },
  { when: "as many have one as another", images: ["b", "a"], to: "a" },
  { when: "no server had another one", images: ["new", undefined], to: undefined },
])("a fleet goes back to $to when $when", ({ images, to }) => {
  expect(rollbackFrom("new", images)?.to).toBe(to);
});

test("it holds for the image that was given up alone, and is kept in the status", () => {
  const status = { rollout: rollbackFields({ from: "new", to: "old" }) };
  expect([rollbackIn({ status }, "new"), rollbackIn({ status }, "newer"), rollbackIn({}, "new")]).toEqual([
    { from: "new", to: "old" },
    undefined,
    undefined,
  ]);
  expect(rollbackFields(undefined)).toEqual({});
});
