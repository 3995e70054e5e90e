import { expect, test } from "vitest";
import { closingLine, type Outcome, outcomeTable, slowestFiles, suiteOutcome } from "../../../scripts/test-report.ts";

const report = (counts: { passed?: number; failed?: number; pending?: number; todo?: number }) =>
  JSON.stringify({
    numPassedTests: counts.passed ?? 0,
    numFailedTests: counts.failed ?? 0,
    numPendingTests: counts.pending ?? 0,
    numTodoTests: counts.todo ?? 0,
  });

test.each([
  { when: "all pass", status: 0, text: report({ passed: 3 }), passed: 3, failed: 0, skipped: 0 },
  { when: "one fails", status: 1, text: report({ passed: 3, failed: 1 }), passed: 3, failed: 1, skipped: 0 },
  {
    when: "some are skipped or to do",
    status: 0,
    text: report({ passed: 1, pending: 2, todo: 1 }),
    passed: 1,
    failed: 0,
    skipped: 3,
  },
  { when: "a file can't be loaded", status: 1, text: report({ passed: 3 }), passed: 3, failed: 1, skipped: 0 },
  { when: "there is no report", status: 137, text: undefined, passed: 0, failed: 1, skipped: 0 },
  { when: "no test is found", status: 0, text: report({}), passed: 0, failed: 1, skipped: 0 },
])("counts $passed, $failed, $skipped when $when", ({ status, text, passed, failed, skipped }) => {
  expect(suiteOutcome("unit", status, text)).toMatchObject({ passed, failed, skipped });
});

const outcomes: Outcome[] = [
  { suite: "unit", passed: 5, failed: 1, skipped: 2, seconds: 1.2 },
  { suite: "cluster", passed: 0, failed: 0, skipped: 0, leftOut: "no Docker and not root" },
];

test("the closing line counts a suite that was left out as one skipped", () => {
  expect(closingLine(outcomes)).toBe("5 passed, 1 failed, 3 skipped");
});

test("the table says why a suite was left out and how to run it", () => {
  expect(outcomeTable(outcomes)).toContain("left out: no Docker and not root; to run it: npm run test:cluster");
});

test("the files that took longest are named, and no quick one", () => {
  const took = (name: string, seconds: number) => ({
    name: `${process.cwd()}/test/services/${name}.test.ts`,
    startTime: 1_000,
    endTime: 1_000 + seconds * 1_000,
  });
  const text = JSON.stringify({
    ...JSON.parse(report({ passed: 2 })),
    testResults: [took("quick", 29), took("slow", 31), took("slowest", 90)],
  });
  const lines = slowestFiles([suiteOutcome("services", 0, text), ...outcomes]).split("\n");
  expect(lines.map((line) => line.split(/\s{2,}/))).toEqual([
    ["test/services/slowest.test.ts", "90 s"],
    ["test/services/slow.test.ts", "31 s"],
  ]);
  expect(slowestFiles(outcomes)).toBe("");
});
