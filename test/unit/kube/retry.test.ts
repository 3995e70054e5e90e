/** Which calls are made again. */
import { expect, test } from "vitest";
import { ApiError } from "../../../src/kube/api-error.ts";
import { afterAttempt, pauseAfter } from "../../../src/kube/retry.ts";

const first = { method: "GET", tokenRenewed: false, aborted: false };
const answered = (status: number) => ({ is: "answered", status }) as const;
const stale = { is: "stale" } as const;

test.each([
  { when: "an answer comes", attempted: answered(200), call: first, follows: "give" },
  { when: "the server is busy", attempted: answered(429), call: first, follows: "give" },
  { when: "the token is refused", attempted: answered(401), call: first, follows: "again with a new token" },
  {
    when: "the token of a creation is refused",
    attempted: answered(401),
    call: { ...first, method: "POST" },
    follows: "again with a new token",
  },
  {
    when: "the new token is refused too",
    attempted: answered(401),
    call: { ...first, tokenRenewed: true },
    follows: "give",
  },
  { when: "the connection was stale", attempted: stale, call: first, follows: "again" },
  {
    when: "it was stale once more, with a new token",
    attempted: stale,
    call: { ...first, tokenRenewed: true },
    follows: "again",
  },
  {
    when: "the connection of a creation was stale",
    attempted: stale,
    call: { ...first, method: "POST" },
    follows: "give",
  },
  { when: "nobody waits any more", attempted: stale, call: { ...first, aborted: true }, follows: "give" },
])("when $when: $follows", ({ attempted, call, follows }) => {
  expect(afterAttempt(attempted, call)).toBe(follows);
});

const refused = (status: number, retryAfterMs?: number) =>
  new ApiError({ status, reason: "Any", message: "later", ...(retryAfterMs !== undefined && { retryAfterMs }) });

test.each([
  { when: "busy", error: refused(429, 3_000), tries: 1, leftMs: 9_000, pauseMs: 3_000 },
  { when: "busy, without a time", error: refused(429), tries: 1, leftMs: 9_000, pauseMs: 1_000 },
  { when: "down, with a time", error: refused(503, 2_000), tries: 9, leftMs: 9_000, pauseMs: 2_000 },
  { when: "down", error: refused(503), tries: 1, leftMs: 9_000, pauseMs: undefined },
  { when: "refusing", error: refused(403, 2_000), tries: 1, leftMs: 9_000, pauseMs: undefined },
  { when: "busy for the tenth time", error: refused(429, 1), tries: 10, leftMs: 9_000, pauseMs: undefined },
  { when: "busy for longer than we wait", error: refused(429, 9_001), tries: 1, leftMs: 9_000, pauseMs: undefined },
  { when: "not reached", error: new Error("ECONNREFUSED"), tries: 1, leftMs: 9_000, pauseMs: undefined },
])("a server that is $when is asked again in $pauseMs ms", ({ error, tries, leftMs, pauseMs }) => {
  expect(pauseAfter(error, { tries, leftMs })).toBe(pauseMs);
});
