import { expect, test } from "vitest";
import { z } from "zod";
import { firstIssue, issueTexts } from "../../../src/lib/issues.ts";

const Shape = z.object({ a: z.object({ b: z.array(z.int("no whole number")) }), c: z.string("no text") });
const errorOf = (value: unknown) => Shape.safeParse(value).error ?? { issues: [] };

test("names the place and the rule of each", () => {
  const error = errorOf({ a: { b: [1, 1.5] }, c: 1 });
  expect(issueTexts(error)).toBe("a.b.1: no whole number; c: no text");
  expect(issueTexts(error, ["spec"])).toBe("spec.a.b.1: no whole number; spec.c: no text");
  expect(firstIssue(error)).toBe("a.b.1: no whole number");
});

test("of a value that is wrong as a whole only the rule is told", () => {
  expect(firstIssue(z.string("no text").safeParse(1).error ?? { issues: [] })).toBe("no text");
});

test("what is not there is missing, whatever it should be", () => {
  const of = z.object({ a: z.string(), b: z.number() }).safeParse({ b: 1 }).error ?? { issues: [] };
  expect(issueTexts(of)).toBe("a: is missing");
});
