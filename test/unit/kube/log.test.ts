import { afterEach, expect, test, vi } from "vitest";
import { consoleLog } from "../../../src/kube/log.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

test("what can't be written as JSON is told all the same, and throws nothing", () => {
  const lines: string[] = [];
  vi.spyOn(console, "error").mockImplementation((line: string) => void lines.push(line));
  const circle: Record<string, unknown> = { name: "circle" };
  circle.self = circle;
  const log = consoleLog("info", { key: "a/b" });
  log.error({ err: circle }, "reconcile failed");
  log.error({ size: 7n }, "too large");
  log.error({ err: new Error("no") }, "as ever");
  expect(lines.map((line) => (JSON.parse(line) as { key: string; message: string }).message)).toEqual([
    "reconcile failed",
    "too large",
    "as ever",
  ]);
  expect(lines[2]).toContain("Error: no");
});
