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
