import { expect, test } from "vitest";
import { dueMs, parsePending, pendingText, verdictOf } from "../../../../src/relay/push/policy.ts";

const pending = { address: "abcdefghi@chat.example", startedAt: 1_795_000_000, token: "openpgp:abc" };
const start = pending.startedAt * 1000;

test.each([
  [200, "sent"],
  [410, "gone"],
  [201, "retry"],
  [301, "retry"],
  [400, "gone"],
  [403, "gone"],
  [404, "gone"],
  [499, "gone"],
  [408, "retry"],
  [421, "retry"],
  [425, "retry"],
  [429, "retry"],
  [500, "retry"],
  [503, "retry"],
  [undefined, "retry"],
])("the answer %s means %s", (status, verdict) => expect(verdictOf(status)).toBe(verdict));

test.each([
  { attempt: 0, at: 0, due: 0 },
  { attempt: 1, at: 0, due: 8 },
  { attempt: 2, at: 8, due: 72 },
  { attempt: 3, at: 72, due: 584 },
  { attempt: 4, at: 584, due: 4680 },
  { attempt: 5, at: 4680, due: undefined },
  { attempt: 4, at: 18_000 - 4096, due: 18_000 },
  { attempt: 4, at: 18_001 - 4096, due: undefined },
  { attempt: 0, at: 18_000, due: 18_000 },
  { attempt: 0, at: 18_001, due: undefined },
])("try $attempt, decided after $at s, is due after $due s", ({ attempt, at, due }) => {
  expect(dueMs(pending, attempt, start + at * 1000)).toBe(due === undefined ? undefined : start + due * 1000);
});

test("a file says the same when read again", () => expect(parsePending(pendingText(pending))).toEqual(pending));

test("a line end at the end of the file changes nothing", () =>
  expect(parsePending(`${pendingText(pending)}\n`)).toEqual(pending));

test.each([
  ["nothing", ""],
  ["no token", "a@b.c\n17"],
  ["no number", "a@b.c\nnow\ntoken"],
  ["no address", "abc\n17\ntoken"],
  ["a token with a space", "a@b.c\n17\nto ken"],
  ["more lines", "a@b.c\n17\ntoken\nmore"],
])("a file with %s is not one of ours", (_, text) => expect(parsePending(text)).toBeUndefined());
