/** What a run leaves for the operator, as the container's termination message: figures alone. */
import { leaveMessage } from "../../lib/termination-message.ts";
import type { ExpiryCounts } from "./walk.ts";

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

export const leaveSummary = (counts: ExpiryCounts, path?: string): void => leaveMessage(summaryOf(counts), path);
