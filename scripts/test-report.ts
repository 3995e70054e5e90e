/**
 * What a test run says at its end: counts by suite from vitest's own reports, what was left out,
 * why, and how to run it, and which files took longest. Pure.
 */
import { relative } from "node:path";
import { columns } from "./columns.ts";

export const suiteNames = ["unit", "services", "cluster"] as const;
export type SuiteName = (typeof suiteNames)[number];

export interface Outcome {
  suite: SuiteName;
  passed: number;
  failed: number;
  skipped: number;
  seconds?: number;
  files?: readonly TimedFile[];
  /** Why the whole suite did not run. */
  leftOut?: string;
  /** What kept the suite from running although it should have. */
  failure?: string;
}

export interface TimedFile {
  name: string;
  seconds: number;
}

interface VitestReport {
  testResults?: { name: string; startTime: number; endTime: number }[];
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
  const files = (counts.testResults ?? []).map(({ name, startTime, endTime }) => ({
    name: relative("", name),
    seconds: (endTime - startTime) / 1000,
  }));
  return { suite, passed, failed, skipped, files };
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

/** The ten files that took longest, from half a minute on; "" where there is none. */
export function slowestFiles(outcomes: readonly Outcome[]): string {
  const slow = outcomes.flatMap(({ files = [] }) => files).filter(({ seconds }) => seconds >= 30);
  const first = slow.toSorted((one, other) => other.seconds - one.seconds).slice(0, 10);
  return columns(first.map(({ name, seconds }) => [name, `${seconds.toFixed(0)} s`]));
}

/** The line that continuous integration reads. A suite that was left out counts as one skipped. */
export function closingLine(outcomes: readonly Outcome[]): string {
  const sum = (count: (each: Outcome) => number) => outcomes.reduce((total, each) => total + count(each), 0);
  const skipped = sum((each) => each.skipped + (each.leftOut === undefined ? 0 : 1));
  return `${sum((each) => each.passed)} passed, ${sum((each) => each.failed)} failed, ${skipped} skipped`;
}
