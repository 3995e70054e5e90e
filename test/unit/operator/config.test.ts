import { expect, test } from "vitest";
import { readConfig, scopesOf } from "../../../src/operator/config.ts";

test("an image is enough", () => {
  expect(readConfig({ RELAY_IMAGE: "relay:1" })).toMatchObject({
    logLevel: "info",
    healthPort: 8081,
    leaderElection: true,
    workers: 4,
  });
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
