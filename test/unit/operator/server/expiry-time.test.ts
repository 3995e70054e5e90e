import { expect, test } from "vitest";
import type { ChatmailServer } from "../../../../src/api/chatmail-server.ts";
import { expiryTime } from "../../../../src/operator/server/expiry-time.ts";
import { aServer } from "../../../helpers/a-server.ts";

const of = (uid: string) => {
  const server: ChatmailServer = aServer();
  return expiryTime({ ...server, metadata: { ...server.metadata, uid } });
};

test("a server keeps its time", () => {
  expect(of("00000000-0000-4000-8000-000000000009")).toEqual({ hour: 2, minute: 4 });
});

test("a thousand servers are spread over the four hours after 00:02, no minute has many", () => {
  const counts = new Map<number, number>();
  for (let each = 0; each < 1_000; each++) {
    const { hour, minute } = of(`server-${each}`);
    expect(minute).toBeLessThan(60);
    counts.set(hour * 60 + minute, (counts.get(hour * 60 + minute) ?? 0) + 1);
  }
  expect(Math.min(...counts.keys())).toBeGreaterThanOrEqual(2);
  expect(Math.max(...counts.keys())).toBeLessThanOrEqual(241);
  // about four are due in each of 240 minutes
  expect(counts.size).toBeGreaterThan(180);
  expect(Math.max(...counts.values())).toBeLessThan(30);
});
