import { expect, test } from "vitest";
import { addAccount, addMessage, emptyReport } from "../../../../src/relay/expire/report.ts";

const day = 86_400_000;
const now = 1000 * day;

test("each figure counts what the narrower ones count too, up to the very second and byte", () => {
  const report = emptyReport();
  for (const days of [0, 10, 10.001, 151]) addAccount(report, now - days * day, now);
  for (const bytes of [0, 102_399, 102_400, 10_485_760]) addMessage(report, bytes);
  expect(report.accountsActive).toEqual({ 1: 1, 10: 2, 30: 3, 40: 3, 80: 3, 100: 3, 150: 3 });
  expect(report.messagesCount).toMatchObject({ 0: 4, 102400: 2, 524288: 1, 10485760: 1 });
  expect(report.messagesBytes).toMatchObject({ 0: 10_690_559, 102400: 10_588_160, 10485760: 10_485_760 });
});
