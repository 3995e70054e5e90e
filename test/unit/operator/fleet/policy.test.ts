import { expect, test } from "vitest";
import type { WrittenFleetSpec } from "../../../../src/api/chatmail-fleet.ts";
import { policyOf, rolloutProblem } from "../../../../src/operator/fleet/policy.ts";
import { limitOf } from "../../../../src/operator/rollout/policy.ts";

const others = { waves: [{ name: "canary", count: 1, maxUnavailable: 1, soakSeconds: 60 }] };

test("a fleet that says nothing goes by the operator's waves", () => {
  expect(policyOf(undefined, others)).toEqual({
    waves: others.waves,
    gate: "Deliverable",
    maxFailures: 1,
    paused: false,
  });
});

test("waves are as the fleet has them, one server at a time where it does not say how many", () => {
  const rollout: WrittenFleetSpec["rollout"] = {
    waves: [
      { name: "canary", selector: { matchLabels: { ring: "canary" } }, soakSeconds: 3600 },
      { name: "tenth", share: "10%", maxUnavailable: 3 },
      { name: "few", count: 5 },
      { name: "rest", maxUnavailable: "5%" },
    ],
    gate: "Ready",
    maxFailures: 4,
    paused: true,
  };
  const policy = policyOf(rollout, others);
  expect(policy).toEqual({
    waves: [
      { name: "canary", selector: { matchLabels: { ring: "canary" } }, maxUnavailable: 1, soakSeconds: 3600 },
      { name: "tenth", sharePercent: 10, maxUnavailable: 3, soakSeconds: 0 },
      { name: "few", count: 5, maxUnavailable: 1, soakSeconds: 0 },
      { name: "rest", maxUnavailable: "5%", soakSeconds: 0 },
    ],
    gate: "Ready",
    maxFailures: 4,
    paused: true,
  });
  expect(policy.waves.map((wave) => limitOf(wave, 100))).toEqual([1, 3, 1, 5]);
});

test("a rollout that an older CRD let pass updates nobody, and is refused with its path", () => {
  const wrong = { waves: [{ name: "rest", maxUnavailable: "all" }] };
  expect(policyOf(wrong, others).paused).toBe(true);
  expect(rolloutProblem(wrong)).toEqual({
    reason: "SpecInvalid",
    message: expect.stringMatching(/^spec\.rollout\.waves\.0\.maxUnavailable: /),
  });
  expect(rolloutProblem({ waves: [{ name: "rest" }] })).toBeUndefined();
});
