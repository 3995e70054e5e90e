import { expect, test } from "vitest";
import { WorkQueue } from "../../../../src/kube/queue.ts";
import type { MemberState } from "../../../../src/operator/rollout/gate.ts";
import type { Policy } from "../../../../src/operator/rollout/policy.ts";
import { Rollouts } from "../../../../src/operator/rollout/rollouts.ts";
import { keptLog } from "../../../helpers/fake-api-server.ts";
import { until } from "../../../helpers/until.ts";

const policy: Policy = {
  waves: [{ name: "rest", maxUnavailable: 1, soakSeconds: 0 }],
  gate: "Ready",
  maxFailures: 1,
  paused: false,
};
const now = new Date("2026-12-01T00:00:00Z");
const waiting: MemberState = { is: "Waiting", isServing: true };
const done: MemberState = { is: "OnTarget", wasServing: true, readySince: now };

function rolloutsOf(servers: readonly string[]) {
  const rollouts = new Rollouts({ servers: () => servers, now: () => now });
  const note = (key: string, state: MemberState | undefined, target = "2") =>
    rollouts.note(key, { group: { id: "operator", policy }, labels: {}, state, target });
  return { rollouts, note };
}

test("nobody gets a turn before every server was looked at", () => {
  const { rollouts, note } = rolloutsOf(["a", "b"]);
  note("a", waiting);
  expect(rollouts.ask("a")).toMatchObject({ goes: false, stopped: false });
  expect(rollouts.isComplete).toBe(false);
  rollouts.note("b", undefined);
  expect(rollouts.isComplete).toBe(true);
  expect(rollouts.ask("a")).toEqual({ goes: true });
});

test("a turn that the cluster does not show yet counts, and is given again to who has it", () => {
  const { rollouts, note } = rolloutsOf(["a", "b"]);
  note("a", waiting);
  note("b", waiting);
  expect(rollouts.ask("a")).toEqual({ goes: true });
  expect(rollouts.ask("b")).toMatchObject({ goes: false, stopped: false });
  // the watch is behind
  note("a", waiting);
  expect(rollouts.ask("b")).toMatchObject({ goes: false });
  expect(rollouts.ask("a")).toEqual({ goes: true });
  note("a", { is: "OnTarget", wasServing: true });
  expect(rollouts.ask("b")).toMatchObject({ goes: false });
  note("a", done);
  expect(rollouts.ask("b")).toEqual({ goes: true });
});

test("one that is held gives its turn back, and gets another when nobody else wants it", () => {
  const { rollouts, note } = rolloutsOf(["a", "b"]);
  note("a", waiting);
  note("b", waiting);
  rollouts.ask("a");
  rollouts.release("a");
  expect(rollouts.ask("a")).toMatchObject({ goes: false });
  expect(rollouts.ask("b")).toEqual({ goes: true });
  note("b", done);
  note("a", waiting);
  expect(rollouts.ask("a")).toEqual({ goes: true });
});

test("a turn is for one revision: with another target it is over", () => {
  const { rollouts, note } = rolloutsOf(["a", "b"]);
  note("a", waiting, "2");
  note("b", waiting, "2");
  rollouts.ask("a");
  note("a", undefined, "3");
  expect(rollouts.ask("b")).toEqual({ goes: true });
});

test("a policy that changes takes effect when it is looked at again", () => {
  const { rollouts } = rolloutsOf(["a"]);
  let paused = true;
  const group = {
    id: "fleet",
    get policy() {
      return { ...policy, paused };
    },
  };
  rollouts.note("a", { group, labels: {}, state: waiting, target: "2" });
  expect(rollouts.ask("a")).toMatchObject({ goes: false });
  paused = false;
  rollouts.reconsider();
  expect(rollouts.ask("a")).toEqual({ goes: true });
});

test("a server that is gone keeps no place", () => {
  const { rollouts, note } = rolloutsOf(["a", "b"]);
  note("a", waiting);
  note("b", waiting);
  rollouts.ask("a");
  rollouts.forget("a");
  expect(rollouts.ask("b")).toEqual({ goes: true });
});

test("after a failure all others are told that it has stopped, and when it goes on", async () => {
  const { rollouts, note } = rolloutsOf(["a", "b", "c"]);
  for (const key of ["a", "b", "c"]) note(key, waiting);
  const queue = new WorkQueue();
  const end = rollouts.source().start(queue, keptLog());
  const told = async () => {
    const keys: string[] = [];
    await until("somebody to be told", () => queue.depth > 0);
    for (let left = queue.depth; left > 0; left--) {
      const key = await queue.take();
      if (key === undefined) break;
      keys.push(key);
      queue.done(key);
    }
    return keys.sort();
  };
  expect(await told()).toEqual(["a", "b", "c"]);
  note("a", { is: "Failed", isServing: true });
  expect(await told()).toEqual(["b", "c"]);
  expect(rollouts.ask("b")).toMatchObject({
    goes: false,
    stopped: true,
    message: expect.stringMatching(/1 update has failed/),
  });
  note("a", done);
  expect(await told()).toEqual(["b", "c"]);
  expect(rollouts.ask("b")).toEqual({ goes: true });
  note("b", done);
  expect(await told()).toEqual(["c"]);
  end();
  queue.close();
});
