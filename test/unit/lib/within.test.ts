import { expect, test } from "vitest";
import { within } from "../../../src/lib/within.ts";

const never = new Promise<string>(() => {});

test("gives what comes in time, and the failure that does", async () => {
  expect(await within(Promise.resolve("here"), 10_000, "late")).toBe("here");
  await expect(within(Promise.reject(new Error("no")), 10_000, "late")).rejects.toThrow("no");
});

test("gives the other value when the time is over", async () => {
  expect(await within(never, 5, "late")).toBe("late");
});
