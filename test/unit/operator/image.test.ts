import { expect, test } from "vitest";
import { isImageAllowed, repositoryOf } from "../../../src/operator/image.ts";

test.each([
  ["registry.example/x", "registry.example/x", true],
  ["registry.example/x:1", "registry.example/x", true],
  [`registry.example/x:1@sha256:${"a".repeat(64)}`, "registry.example/x", true],
  ["REGISTRY.example/x", "registry.example/x", true],
  ["registry.example/xevil", "registry.example/x", false],
  ["registry.example/x/evil", "registry.example/x", false],
  ["registry.example/x/relay:1", "registry.example/x/", true],
  ["registry.example/x", "registry.example/x/", false],
  ["registry.example.evil.example/x", "registry.example/x", false],
  ["registry.example:5000/x", "registry.example/x", false],
  ["registry.example@evil.example/x", "registry.example/x", false],
  ["registry.example/x/../evil", "registry.example/x/", false],
  ["registry.example/x//evil", "registry.example/x/", false],
  ["https://registry.example/x", "registry.example/x", false],
  ["registry.example/x@sha256:abc", "registry.example/x", false],
  ["registry.example/x:1:2", "registry.example/x", false],
  ["registry.example/X", "registry.example/x", false],
  ["relay:1", "docker.io/library/relay", true],
  ["index.docker.io/library/relay", "relay", true],
  ["team/relay", "docker.io/team/", true],
  ["team/relay", "team/", true],
  ["team.example/relay", "team/", false],
  ["localhost/relay", "docker.io/", false],
  ["anything.example/x:1", "*", true],
])("%s is allowed by %s: %s", (image, allowed, expected) => {
  expect(isImageAllowed(image, allowed)).toBe(expected);
});

test("a port is not a tag", () => {
  expect(repositoryOf("registry.example:5000/a/b:1")).toBe("registry.example:5000/a/b");
});
