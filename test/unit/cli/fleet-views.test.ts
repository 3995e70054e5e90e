import { describe, expect, test } from "vitest";
import type { WrittenFleet } from "../../../src/api/chatmail-fleet.ts";
import type { ChatmailServerStatus } from "../../../src/api/chatmail-server.ts";
import { apiVersion, chatmailFleet } from "../../../src/api/names.ts";
import { inOrderOfTime, logLine } from "../../../src/cli/views/logs.ts";
import { isStopped, rolloutPage, versionBefore } from "../../../src/cli/views/rollout.ts";
import { updateProgress, updateStep } from "../../../src/cli/views/update.ts";
import { exitCodeOf } from "../../../src/kube/exec.ts";

const now = new Date("2026-11-29T12:00:00Z");
const lastTransitionTime = "2026-11-29T10:00:00Z";

describe("update", () => {
  const of = (relay: ChatmailServerStatus["relay"], retry = false) => updateStep({ status: { relay } }, { retry, now });

  test("a server with a target is told to take it, with its image for the user", () => {
    expect(of({ revision: "a1", target: "b2", targetImage: "relay:2" })).toEqual({
      is: "set",
      annotations: { "chatmail.dev/update": "b2" },
      revision: "b2",
      image: "relay:2",
    });
  });
  test("a server without one is left alone", () => {
    expect(of({ revision: "a1" })).toEqual({ is: "current" });
    expect(of(undefined)).toEqual({ is: "current" });
  });
  test("what has failed is not tried again unless that was asked for", () => {
    expect(of({ revision: "a1", target: "b2", failedRevision: "b2" })).toMatchObject({ is: "refused" });
    expect(of({ failedRevision: "b2" }, true)).toEqual({
      is: "set",
      annotations: { "chatmail.dev/retry-update": "2026-11-29T12:00:00.000Z" },
      revision: "b2",
    });
  });

  const condition = (type: string, status: "True" | "False", reason: string) => ({
    type,
    status,
    reason,
    message: `${reason} it is`,
    lastTransitionTime,
  });
  test.each([
    { when: "nothing was said", status: {}, is: "under way" },
    {
      when: "the pod before serves",
      status: { relay: { revision: "a1" }, conditions: [condition("Ready", "True", "Serving")] },
      is: "under way",
    },
    {
      when: "the new one starts",
      status: { relay: { revision: "b2" }, conditions: [condition("Ready", "False", "PodPending")] },
      is: "under way",
    },
    {
      when: "the new one serves",
      status: { relay: { revision: "b2" }, conditions: [condition("Ready", "True", "Serving")] },
      is: "done",
    },
    {
      when: "it failed",
      status: { relay: { revision: "a1" }, conditions: [condition("Stalled", "True", "UpdateFailed")] },
      is: "failed",
    },
  ] as const)("$when: $is", ({ status, is }) => {
    expect(updateProgress({ status: structuredClone(status) as ChatmailServerStatus }, "b2").is).toBe(is);
  });
});

describe("rollout", () => {
  const fleet = (status: WrittenFleet["status"]): WrittenFleet => ({
    apiVersion,
    kind: chatmailFleet.kind,
    metadata: { name: "community", namespace: "chatmail", uid: "c", generation: 1 },
    spec: { rollout: { version: "1.4.0" } },
    ...(status && { status }),
  });
  const stopped = {
    type: "Ready",
    status: "False" as const,
    reason: "RolloutStopped",
    message: "m",
    lastTransitionTime,
  };

  test("it has stopped where the fleet says so", () => {
    expect(isStopped(fleet({ conditions: [stopped] }))).toBe(true);
    expect(isStopped(fleet({ conditions: [{ ...stopped, reason: "RollingOut" }] }))).toBe(false);
    expect(isStopped(fleet(undefined))).toBe(false);
  });

  test("the page has the wave, the counts and the worst servers", () => {
    const page = rolloutPage(
      fleet({
        servers: { total: 10, updated: 3, waiting: 6, failed: 1 },
        rollout: { target: "relay:1.4.0", wave: "canary", message: "wave canary: 3 of 10" },
        worst: [{ name: "nine", reason: "PodFailing", message: "crashes" }],
      }),
      (_, text) => text,
    );
    expect(page).toMatch(/^wave: +canary$/m);
    expect(page).toMatch(/^servers: +10: 3 updated, 6 wait, 1 failed$/m);
    expect(page).toMatch(/^nine +PodFailing +crashes$/m);
  });

  test.each([
    { versions: ["1.3", "1.3", "1.2", "1.4", "1.4", "1.4"], now: "1.4", is: "1.3" },
    { versions: ["1.4", undefined], now: "1.4", is: undefined },
    { versions: ["1.3", "1.2"], now: "1.4", is: "1.2" },
    { versions: [], now: undefined, is: undefined },
  ])("of $versions, before $now was $is", ({ versions, now: target, is }) => {
    expect(versionBefore(versions, target)).toBe(is);
  });
});

describe("logs", () => {
  test("a line with and without its time", () => {
    expect(logLine("relay", "2026-11-29T12:00:00.123456789Z {} ")).toEqual({
      source: "relay",
      time: "2026-11-29T12:00:00.123456789Z",
      text: "{} ",
    });
    expect(logLine("relay", "no time")).toEqual({ source: "relay", time: "", text: "no time" });
  });

  test("lines are merged by time, to the nanosecond, and those of one container keep their order", () => {
    const line = (source: string, second: string) => logLine(source, `2026-11-29T12:00:${second}Z ${second}`);
    const merged = inOrderOfTime([
      [line("a", "01.1"), line("a", "01.100000001"), line("a", "00.5")],
      [line("b", "00.9"), line("b", "01.10000000")],
      [],
    ]);
    expect(merged.map(({ source, text }) => `${source} ${text}`)).toEqual([
      "b 00.9",
      "a 01.1",
      "b 01.10000000",
      "a 01.100000001",
      "a 00.5",
    ]);
  });
});

test.each([
  { status: { status: "Success" }, code: 0 },
  {
    status: {
      status: "Failure",
      reason: "NonZeroExitCode",
      details: { causes: [{ reason: "ExitCode", message: "3" }] },
    },
    code: 3,
  },
  { status: { status: "Failure", reason: "InternalError", message: "no such program" }, code: undefined },
])("a command that ended with $status.status has code $code", ({ status, code }) => {
  expect(exitCodeOf(status)).toBe(code);
});
