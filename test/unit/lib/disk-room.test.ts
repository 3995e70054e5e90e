import { expect, test } from "vitest";
import { diskRoom } from "../../../src/lib/disk-room.ts";

test.each([
  { is: "an empty volume", stats: { blocks: 100, bfree: 100, bavail: 100 }, bytes: 100, freeBytes: 100 },
  { is: "one in twenty is root's", stats: { blocks: 100, bfree: 100, bavail: 95 }, bytes: 95, freeBytes: 95 },
  { is: "two thirds are root's", stats: { blocks: 100, bfree: 75, bavail: 10 }, bytes: 35, freeBytes: 10 },
  { is: "full for all but root", stats: { blocks: 100, bfree: 5, bavail: 0 }, bytes: 95, freeBytes: 0 },
])("$is", ({ stats, bytes, freeBytes }) => {
  expect(diskRoom({ ...stats, bsize: 4096 })).toEqual({ bytes: bytes * 4096, freeBytes: freeBytes * 4096 });
});
