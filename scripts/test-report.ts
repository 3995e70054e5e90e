/**
 * What a test run says at its end: counts by suite from vitest's own reports, and what was left
 * out, why, and how to run it. Pure.
 */
import { columns } from "./columns.ts";

export const suiteNames = ["unit", "services", "cluster"] as const;
export type SuiteName = (typeof suiteNames)[number];

export interface Outcome {
  suite: SuiteName;
  passed: number;
  failed: number;
  skipped: number;
  seconds?: number;
  /** Why the whole suite did not run. */
  leftOut?: string;
  /** What kept the suite from running although it should have. */
  failure?: string;
}

interface VitestReport {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  numFailedTestSuites: number;
}

/**
 * Counts from vitest's JSON report. A run that fails outside of any test, writes no report or runs
 * no test counts as one failure.
 */
export function suiteOutcome(suite: SuiteName, status: number, report: string | undefined): Outcome {
  if (report === undefined) {
    return { suite, passed: 0, failed: 1, skipped: 0, failure: `vitest ended with status ${status} and no report` };
  }
  const counts = JSON.parse(report) as VitestReport;
  const passed = counts.numPassedTests;
  const skipped = counts.numPendingTests + counts.numTodoTests;
  const failed = counts.numFailedTests > 0 || status === 0 ? counts.numFailedTests : 1;
  if (passed + failed + skipped === 0) return { suite, passed, failed: 1, skipped, failure: "no test was found" };
  return { suite, passed, failed, skipped };
}

/** One row for each suite. */
export function outcomeTable(outcomes: readonly Outcome[]): string {
  const rows = outcomes.map((each) => [
    each.suite,
    String(each.passed),
    String(each.failed),
    String(each.skipped),
    each.seconds === undefined ? "" : `${each.seconds.toFixed(0)} s`,
    each.failure ?? (each.leftOut ? `left out: ${each.leftOut}; to run it: npm run test:${each.suite}` : ""),
  ]);
  return columns([["suite", "passed", "failed", "skipped", "time", ""], ...rows]);
}

/** The line that continuous integration reads. A suite that was left out counts as one skipped. */
export function closingLine(outcomes: readonly Outcome[]): string {
  const sum = (count: (each: Outcome) => number) => outcomes.reduce((total, each) => total + count(each), 0);
  const skipped = sum((each) => each.skipped + (each.leftOut === undefined ? 0 : 1));
  return `${sum((each) => each.passed)} passed, ${sum((each) => each.failed)} failed, ${skipped} skipped`;
}
