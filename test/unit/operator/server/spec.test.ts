import { expect, test } from "vitest";
import type { ChatmailServer, WrittenServer, WrittenSpec } from "../../../../src/api/chatmail-server.ts";
import { domainProblem, type OperatorSide, resolveServer } from "../../../../src/operator/server/spec.ts";
import { aServer } from "../../../helpers/a-server.ts";
import { wrongTogether } from "../../../helpers/wrong-specs.ts";

const specProblem = (spec: WrittenSpec) => {
  const resolved = resolveServer({ spec, metadata: {} }, {});
  return "problem" in resolved ? resolved.problem : undefined;
};
const operator: OperatorSide = {
  isServing: () => false,
  resolve: ({ spec }) => resolveServer({ spec, metadata: {} }, {}),
};

test("a spec that an older CRD let pass is refused with path and rule", () => {
  const spec = { ...aServer().spec, messages: { ...aServer().spec.messages, deleteAfterDays: 90 } };
  expect(specProblem(spec)).toEqual({
    reason: "SpecInvalid",
    message: expect.stringMatching(/^spec\.messages\.deleteAfterDays: .*<=20/),
  });
  expect(specProblem(aServer().spec)).toBeUndefined();
});

test.each(wrongTogether)(
  "a spec by which $when is refused with both values and where they come from",
  ({ spec, says }) => {
    expect(specProblem(spec as WrittenSpec)).toEqual({ reason: "SpecInvalid", message: says });
  },
);

test("a TURN server that is a default is left out where the domain is an IPv6 address", () => {
  const defaults = { services: { turn: { enabled: true } } };
  const enabled = (domain: string) => {
    const resolved = resolveServer({ spec: { domain }, metadata: {} }, defaults);
    return "spec" in resolved && resolved.spec.services.turn.enabled === true;
  };
  expect([enabled("2001:db8::9"), enabled("192.0.2.7")]).toEqual([false, true]);
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
  expect(domainProblem(mine, [mine, ...others], operator)?.reason).toBe(taken ? "DomainTaken" : undefined);
});

const older = (spec: object, metadata: Partial<ChatmailServer["metadata"]> = {}): ChatmailServer => {
  const base = aServer({}, { name: "b", uid: "b", creationTimestamp: "2026-10-01T00:00:00Z", ...metadata });
  return { ...base, spec: { ...base.spec, ...spec } };
};

test.each([
  { when: "Unmanaged", other: older({ management: "Unmanaged" }) },
  { when: "Paused since it was created", other: older({ management: "Paused" }) },
  { when: "being deleted", other: older({}, { deletionTimestamp: "2026-11-01T00:00:00Z" }) },
  { when: "refused for its spec", other: older({ image: { reference: "" } }) },
  { when: "refused for its image", other: older({ image: { reference: "evil.example/relay:1" } }) },
])("an older one that is $when keeps nobody out", ({ other }) => {
  const mine = server("a", "2026-11-01T00:00:00Z");
  expect(
    domainProblem(mine, [mine, other], { ...operator, allowedImages: ["registry.example/relay"] }),
  ).toBeUndefined();
});

test("a server that serves is not stopped by an older one that becomes valid later, and stays the holder while paused", () => {
  const mine = server("a", "2026-11-01T00:00:00Z");
  const serving = { ...operator, isServing: ({ metadata }: WrittenServer) => metadata.name === "a" };
  expect(domainProblem(mine, [mine, older({})], serving)).toBeUndefined();
  expect(domainProblem(older({}), [mine, older({})], serving)?.reason).toBe("DomainTaken");
  const paused = { ...mine, spec: { ...mine.spec, management: "Paused" as const } };
  expect(domainProblem(older({}), [paused, older({})], serving)?.reason).toBe("DomainTaken");
});

test.each([
  { namespace: "chatmail", says: "_nine.test is served by ChatmailServer b: delete one of the two" },
  {
    namespace: "internal-project",
    says: "_nine.test is served by a ChatmailServer in another namespace: choose another domain, or ask the cluster's administrators",
  },
])("names only who is in the reader's own namespace: $says", ({ namespace, says }) => {
  const mine = server("a", "2026-11-02T00:00:00Z");
  expect(domainProblem(mine, [older({}, { namespace })], operator)?.message).toBe(says);
});

test.each(["https://[", "https://a:99999", "https://%", "https://", "https:///x", "https://a b/", "https://[::g]/"])(
  "%s is no URL of a push service or an iroh relay",
  (url) => {
    const { services, ...spec } = aServer().spec;
    const wrong = (change: object) => specProblem({ ...spec, services: { ...services, ...change } })?.message;
    expect(wrong({ push: { ...services.push, url } })).toMatch(/spec\.services\.push\.url/);
    expect(wrong({ iroh: { url } })).toMatch(/spec\.services\.iroh\.url/);
  },
);
