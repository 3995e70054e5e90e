import { expect, test } from "vitest";
import { maxTokens, type Tokens, validTokens, withTokens } from "../../../../src/relay/metadata/policy.ts";

const now = 1_795_000_000;
const day = 86_400;
const named = (count: number, at: (nth: number) => number): Tokens =>
  Object.fromEntries(Array.from({ length: count }, (_, nth) => [`t${nth}`, at(nth)]));

test("of more tokens than an account may have those set last are read, in their order", () => {
  const many = named(100, (nth) => now - nth);
  expect(Object.keys(validTokens(many, now))).toEqual(Object.keys(many).slice(0, maxTokens));
});

test("a new one takes the place of the one set longest ago, whenever that one came first", () => {
  const before = { first: now - day + 1, ...named(maxTokens - 2, () => now - 2 * day), old: now - 3 * day };
  const after = withTokens(before, ["new"], now);
  expect(Object.keys(after)).toHaveLength(maxTokens);
  expect(Object.keys(after)).toEqual(expect.arrayContaining(["first", "new"]));
  expect(after).not.toHaveProperty("old");
});

test.each([
  { when: "a second ago", ago: 1, kept: true },
  { when: "almost a day ago", ago: day - 1, kept: true },
  { when: "a day ago", ago: day, kept: false },
  { when: "in the future", ago: -30, kept: false },
])("a token set $when and set again: its time stays is $kept", ({ ago, kept }) => {
  expect(withTokens({ t: now - ago }, ["t"], now)).toEqual({ t: kept ? now - ago : now });
});

test.each(["__proto__", "constructor", "toString", "1"])("a token may be called %s", (token) => {
  const after = withTokens({}, [token], now);
  expect(Object.entries(after)).toEqual([[token, now]]);
});

test("of many at once the last ones are kept", () => {
  const set = Array.from({ length: 50 }, (_, nth) => `n${nth}`);
  expect(
    Object.keys(
      withTokens(
        named(5, () => now - 1),
        set,
        now,
      ),
    ),
  ).toEqual(set.slice(-maxTokens));
});
