import { expect, test } from "vitest";
import { messageOf } from "../../../src/lib/text.ts";

test.each([
  { what: "an error", thrown: new Error("no"), says: "no" },
  { what: "a text", thrown: "no", says: "no" },
  {
    what: "a name of which no address answers, which has no words of its own",
    thrown: new AggregateError([
      new Error("connect ECONNREFUSED ::1:9"),
      new Error("connect ECONNREFUSED 127.0.0.1:9"),
    ]),
    says: "connect ECONNREFUSED ::1:9 and connect ECONNREFUSED 127.0.0.1:9",
  },
])("$what says $says", ({ thrown, says }) => {
  expect(messageOf(thrown)).toBe(says);
});
