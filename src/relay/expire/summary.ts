/** What a run leaves for the operator, as the container's termination message: figures alone. */
import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs";
import type { ExpiryCounts } from "./walk.ts";

const terminationMessage = "/dev/termination-log";
const activeDays = 30;

/** What there is after the run, and what it has removed. Pure. */
export function summaryOf(counts: ExpiryCounts): Record<string, number> {
  const { accounts, accountsRemoved, accountsSkipped, messagesRemoved, bytesRemoved } = counts;
  return {
    accounts: accounts - accountsRemoved - accountsSkipped,
    accountsActive: counts.accountsActive[activeDays] ?? 0,
    accountsRemoved,
    messages: counts.messagesCount[0] ?? 0,
    messagesRemoved,
    bytes: counts.messagesBytes[0] ?? 0,
    bytesRemoved,
  };
}

/** Kubernetes has made the file; elsewhere there is none, and none is made. */
export function leaveSummary(counts: ExpiryCounts, path = terminationMessage): void {
  try {
    const file = openSync(path, "r+");
    try {
      ftruncateSync(file);
      writeSync(file, JSON.stringify(summaryOf(counts)));
    } finally {
      closeSync(file);
    }
  } catch {
    // the run has succeeded all the same, and its log line says the same
  }
}
