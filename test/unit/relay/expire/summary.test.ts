import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { addAccount, addMessage } from "../../../../src/relay/expire/report.ts";
import { leaveSummary, summaryOf } from "../../../../src/relay/expire/summary.ts";
import { noCounts } from "../../../../src/relay/expire/walk.ts";

const now = 1_800_000_000_000;
const counts = {
  ...noCounts(),
  accounts: 10,
  accountsRemoved: 2,
  accountsSkipped: 1,
  messagesRemoved: 5,
  bytesRemoved: 99,
};
addAccount(counts, now - 86_400_000, now);
addAccount(counts, now - 60 * 86_400_000, now);
addMessage(counts, 1_000);
addMessage(counts, 200_000);

const summary = {
  accounts: 7,
  accountsActive: 1,
  accountsRemoved: 2,
  messages: 2,
  messagesRemoved: 5,
  bytes: 201_000,
  bytesRemoved: 99,
};

test("a summary has what is left, and what the run has removed", () => {
  expect(summaryOf(counts)).toEqual(summary);
});

test("it takes the place of what the file had, and no file is made for it", () => {
  const folder = mkdtempSync(join(tmpdir(), "summary-"));
  const file = join(folder, "termination-log");
  leaveSummary(counts, file);
  expect(existsSync(file)).toBe(false);
  writeFileSync(file, "x".repeat(2_000));
  leaveSummary(counts, file);
  expect(JSON.parse(readFileSync(file, "utf8"))).toEqual(summary);
});
