import { expect, test } from "vitest";
import type { ChatmailServer } from "../../../../src/api/chatmail-server.ts";
import { domainProblem, specProblem } from "../../../../src/operator/server/spec.ts";
import { aServer } from "../../../helpers/a-server.ts";

test("a spec that an older CRD let pass is refused with path and rule", () => {
  const spec = { ...aServer().spec, messages: { ...aServer().spec.messages, deleteAfterDays: 90 } };
  expect(specProblem(spec)).toEqual({
    reason: "SpecInvalid",
    message: expect.stringMatching(/^spec\.messages\.deleteAfterDays: .*<=20/),
  });
  expect(specProblem(aServer().spec)).toBeUndefined();
});

const server = (name: string, created: string, uid = name, domain = "_nine.test"): ChatmailServer =>
  aServer({ domain }, { name, uid, creationTimestamp: created });

test.each([
  { when: "it is alone", others: [], taken: false },
  { when: "a younger one has the domain too", others: [server("b", "2026-11-02T00:00:00Z")], taken: false },
  { when: "an older one has the domain", others: [server("b", "2026-10-01T00:00:00Z")], taken: true },
  {
    when: "an older one has another domain",
    others: [server("b", "2026-10-01T00:00:00Z", "b", "_ten.test")],
    taken: false,
  },
  { when: "one of the same second has a smaller uid", others: [server("b", "2026-11-01T00:00:00Z", "0")], taken: true },
  {
    when: "one of the same second has a greater uid",
    others: [server("b", "2026-11-01T00:00:00Z", "z")],
    taken: false,
  },
])("the domain is taken: $taken when $when", ({ others, taken }) => {
  const mine = server("a", "2026-11-01T00:00:00Z", "a");
  expect(domainProblem(mine, [mine, ...others])?.reason).toBe(taken ? "DomainTaken" : undefined);
});

test("it says whose the domain is", () => {
  const problem = domainProblem(server("a", "2026-11-02T00:00:00Z"), [server("b", "2026-11-01T00:00:00Z")]);
  expect(problem?.message).toBe("_nine.test belongs to chatmail/b, which is older; delete one of the two");
});
