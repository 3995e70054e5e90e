import { expect, test } from "vitest";
import { readConfig, scopesOf } from "../../../src/operator/config.ts";
import { builtInPolicy } from "../../../src/operator/rollout/policy.ts";

test("an image is enough", () => {
  expect(readConfig({ RELAY_IMAGE: "relay:1" })).toMatchObject({
    logLevel: "info",
    healthPort: 8081,
    leaderElection: true,
    workers: 4,
  });
});

test("the rollout is that of the built-in policy, or as the variables say", () => {
  expect(readConfig({ RELAY_IMAGE: "relay:1" }).rollout).toEqual({
    ...builtInPolicy,
    waves: [builtInPolicy.waves[0], { ...builtInPolicy.waves[1], maxUnavailable: "2" }],
  });
  const given = {
    ROLLOUT_PAUSED: "true",
    ROLLOUT_GATE: "Ready",
    ROLLOUT_CANARY_SOAK_SECONDS: "0",
    ROLLOUT_MAX_UNAVAILABLE: "5%",
    ROLLOUT_SOAK_SECONDS: "7",
    ROLLOUT_MAX_FAILURES: "3",
  };
  expect(readConfig({ RELAY_IMAGE: "relay:1", ...given }).rollout).toEqual({
    waves: [
      { name: "canary", count: 1, maxUnavailable: 1, soakSeconds: 0 },
      { name: "rest", maxUnavailable: "5%", soakSeconds: 7 },
    ],
    gate: "Ready",
    maxFailures: 3,
    paused: true,
  });
});

test.each(["0", "0%", "101%", "some", "-1", ""])("ROLLOUT_MAX_UNAVAILABLE %j is refused", (given) => {
  const read = () => readConfig({ RELAY_IMAGE: "relay:1", ROLLOUT_MAX_UNAVAILABLE: given });
  expect(read).toThrow("ROLLOUT_MAX_UNAVAILABLE: not a number of servers");
});

test("every variable that is wrong is named", () => {
  expect(() => readConfig({ LOG_LEVEL: "loud", WORKERS: "0" })).toThrow(/RELAY_IMAGE: .*LOG_LEVEL: .*WORKERS: /);
});

test.each([
  { given: undefined, scopes: ["own"] },
  { given: "", scopes: ["own"] },
  { given: "a, b,a", scopes: ["a", "b"] },
  { given: "*", scopes: [""] },
])("WATCH_NAMESPACES $given: $scopes", ({ given, scopes }) => {
  expect(scopesOf(given, "own")).toEqual(scopes);
});

test.each([
  { given: undefined, is: {} },
  { given: '{"storage":{"storageClassName":"fast"}}', is: { storage: { storageClassName: "fast" } } },
  { given: '{"management":"Paused"}', is: { management: "Paused" } },
])("SERVER_DEFAULTS $given", ({ given, is }) => {
  expect(readConfig({ RELAY_IMAGE: "relay:1", ...(given && { SERVER_DEFAULTS: given }) }).serverDefaults).toEqual(is);
});

test.each([
  { when: "it is no JSON", given: "{", says: "not JSON: " },
  { when: "it is a list", given: "[]", says: "not a JSON object" },
  { when: "it names a domain", given: '{"domain":"a.example"}', says: "domain: each server has its own" },
  { when: "a field does not exist", given: '{"storage":{"sise":"1Gi"}}', says: "storage.sise: there is no such field" },
  { when: "a value is wrong", given: '{"storage":{"size":"1"}}', says: "storage.size: size must be between" },
  {
    when: "it fits no server that says nothing else",
    given: '{"messages":{"deleteAfterDays":5}}',
    says: "spec.messages.deleteLargeAfterDays: deleteLargeAfterDays must not be greater than deleteAfterDays: deleteLargeAfterDays is 7 (built in), deleteAfterDays is 5 (operator configuration)",
  },
  {
    when: "a field has no effect",
    given: '{"certificate":{"secret":{"name":"a"}}}',
    says: "certificate.secret: secret is only",
  },
])("SERVER_DEFAULTS is refused when $when", ({ given, says }) => {
  const read = () => readConfig({ RELAY_IMAGE: "relay:1", SERVER_DEFAULTS: given });
  expect(read).toThrow(`environment: SERVER_DEFAULTS: ${says}`);
});

const own = "registry.example:5000/chatmail/relay";
test.each([
  { relay: `${own}:1.0.0`, more: undefined, allowed: [own] },
  { relay: `${own}@sha256:${"a".repeat(64)}`, more: "", allowed: [own] },
  {
    relay: "chatmail-relay:1",
    more: "team/, registry.example/x",
    allowed: ["docker.io/library/chatmail-relay", "team/", "registry.example/x"],
  },
  { relay: `${own}:1.0.0`, more: "*", allowed: [own, "*"] },
  // of an image that has no repository, such as an id, nothing is allowed but what is named
  { relay: "not an image", more: "registry.example/x", allowed: ["registry.example/x"] },
])("RELAY_IMAGE $relay and ALLOWED_IMAGES $more allow $allowed", ({ relay, more, allowed }) => {
  const environment = { RELAY_IMAGE: relay, ...(more !== undefined && { ALLOWED_IMAGES: more }) };
  expect(readConfig(environment).allowedImages).toEqual(allowed);
});

test.each(["https://registry.example/x", "registry.example/*", "a b", "registry.example//x", "**", "/"])(
  "ALLOWED_IMAGES %s is refused, rather than to allow nothing or too much",
  (more) => {
    expect(() => readConfig({ RELAY_IMAGE: "relay:1", ALLOWED_IMAGES: more })).toThrow(
      "environment: ALLOWED_IMAGES: not a repository, a folder that ends in /, or *",
    );
  },
);
