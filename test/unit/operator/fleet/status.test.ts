import { describe, expect, test } from "vitest";
import { ChatmailFleetStatus } from "../../../../src/api/chatmail-fleet.ts";
import type { Condition } from "../../../../src/api/chatmail-server.ts";
import type { DoneServers } from "../../../../src/operator/fleet/act.ts";
import type { SeenFleet, SeenMember, SeenRollout } from "../../../../src/operator/fleet/seen.ts";
import { fleetStatusOf, summaryOf } from "../../../../src/operator/fleet/status.ts";
import { aFleet, aMember } from "../../../helpers/a-fleet.ts";

const now = new Date("2026-11-29T12:00:00Z");
const condition = (type: string, status: Condition["status"], reason: string, message = "because"): Condition => ({
  type,
  status,
  reason,
  message,
  lastTransitionTime: "2026-11-29T11:00:00Z",
});
type State = "ready" | "moving" | "stalled" | "paused" | "new";
const conditions: Record<State, Condition[]> = {
  ready: [condition("Ready", "True", "Serving"), condition("Stalled", "False", "NotStalled")],
  moving: [condition("Ready", "False", "PodPending"), condition("Stalled", "False", "NotStalled")],
  stalled: [condition("Ready", "False", "VolumeLost"), condition("Stalled", "True", "VolumeLost")],
  paused: [condition("Ready", "True", "Serving"), condition("Paused", "True", "Paused")],
  new: [],
};
const nothingToDo: SeenRollout = { wanted: "relay:2", turns: { go: [], awaited: [], failed: [] } };
const member = (name: string, state: State, update: SeenMember["update"] = "Updated"): SeenMember => ({
  server: aMember(name, {}, { status: { conditions: conditions[state] } }),
  update,
});
const nothing: DoneServers = { sent: [], failures: [], left: 0 };
const statusOf = (
  seen: Partial<SeenFleet>,
  more: { conflicts?: string[]; done?: Partial<DoneServers>; before?: ChatmailFleetStatus; now?: Date } = {},
) =>
  fleetStatusOf(
    {
      fleet: { ...aFleet(), ...(more.before && { status: more.before }) },
      seen: { members: [], rows: [], unlisted: [], rollout: nothingToDo, ...seen },
      conflicts: more.conflicts ?? [],
      done: { ...nothing, ...more.done },
    },
    more.now ?? now,
  );
const said = (status: ChatmailFleetStatus, type: string) => {
  const found = status.conditions?.find((each) => each.type === type);
  return found && `${found.status} ${found.reason}: ${found.message}`;
};

test("servers are counted", () => {
  const members = [
    member("a", "ready"),
    member("b", "ready", "Waiting"),
    member("c", "moving", "Updating"),
    member("d", "stalled", "Failed"),
    member("e", "paused", "Waiting"),
    member("f", "new", "Waiting"),
  ];
  expect(statusOf({ members }).servers).toEqual({
    total: 6,
    ready: 3,
    stalled: 1,
    paused: 1,
    updated: 1,
    waiting: 3,
    failed: 1,
  });
});

describe("a fleet", () => {
  test.each([
    { when: "it has no servers", seen: {}, ready: /^True Serving: the fleet has no servers$/, stalled: /^False/ },
    {
      when: "all are ready",
      seen: { members: [member("a", "ready"), member("b", "paused")] },
      ready: /^True Serving: all 2 servers are ready$/,
      stalled: /^False/,
    },
    {
      when: "one is about to be ready",
      seen: { members: [member("a", "ready"), member("b", "moving")] },
      ready: /^False ServersNotReady: 1 of 2 servers are not ready; b: PodPending: because$/,
      stalled: /^False/,
    },
    {
      when: "one needs a person, and another will be ready",
      seen: { members: [member("a", "moving"), member("b", "stalled")] },
      ready: /^False ServersStalled: 1 of 2 servers need a person; b: VolumeLost: because$/,
      stalled: /^True ServersStalled/,
    },
    {
      when: "its defaults are wrong",
      seen: { refused: { reason: "SpecInvalid" as const, message: "spec.defaults.x: no" } },
      ready: /^False SpecInvalid: spec\.defaults\.x: no$/,
      stalled: /^True SpecInvalid/,
    },
  ])("when $when", ({ seen, ready, stalled }) => {
    const status = statusOf(seen);
    expect(said(status, "Ready")).toMatch(ready);
    expect(said(status, "Stalled")).toMatch(stalled);
    expect(said(status, "DomainsServed")).toBeUndefined();
  });

  test("that waits for a server for an hour is Stalled", () => {
    const members = [member("a", "moving")];
    const before = statusOf({ members });
    const later = new Date(now.getTime() + 3_600_000);
    expect(said(statusOf({ members }, { before, now: later }), "Stalled")).toMatch(/^True ServersNotReady/);
  });
});

describe("of the domains that it lists", () => {
  const rows = [{ row: { name: "a", domain: "_a.test" } }];
  test.each([
    { when: "all exist", seen: { rows }, says: /^True ServersCreated/ },
    {
      when: "some are to be created",
      seen: { rows },
      done: { left: 7 },
      says: /^False ServersMissing: 7 more servers/,
    },
    {
      when: "a row is another's",
      seen: { rows },
      conflicts: ["a is not ours"],
      says: /^False ServerConflict: a is not ours$/,
    },
    {
      when: "one is refused",
      seen: { rows },
      done: { failures: ["ChatmailServer a: no"] },
      says: /^False ApplyFailed: Chat/,
    },
    {
      when: "a row was removed",
      seen: { unlisted: [aMember("old")] },
      says: /^False ServerUnlisted: no longer in domains, and served on: old\. Nothing is deleted by an edit/,
    },
  ])("it says when $when", ({ seen, says, ...more }) => {
    expect(said(statusOf(seen, more), "DomainsServed")).toMatch(says);
  });

  test("a row that was removed does not keep the fleet from being ready", () => {
    expect(said(statusOf({ unlisted: [aMember("old")] }), "Ready")).toMatch(/^True/);
  });

  test("a row that can't be carried out does", () => {
    expect(said(statusOf({ rows }, { conflicts: ["a is not ours"] }), "Stalled")).toMatch(/^True ServerConflict/);
  });
});

describe("an update", () => {
  const turns = (more: Partial<SeenRollout["turns"]>) => ({ ...nothingToDo, turns: { ...nothingToDo.turns, ...more } });
  const members: SeenMember[] = [
    member("a", "ready"),
    member("b", "ready", "Waiting"),
    member("c", "moving", "Updating"),
    member("d", "ready", "Failed"),
    { ...member("e", "ready"), update: undefined },
  ];
  test.each([
    {
      when: "goes on",
      rollout: turns({ wave: "rest" }),
      ready: /^False RollingOut: wave rest: 1 of 5 servers are updated, 1 are being updated, 1 wait$/,
      stalled: /^False/,
    },
    {
      when: "has failed",
      rollout: turns({ wave: "rest", stopped: "Failures" }),
      ready: /^False RolloutStopped: the update to relay:2 has stopped, because 1 server failed: d\. 1 of 5/,
      stalled: /^True RolloutStopped/,
    },
    {
      when: "is paused",
      rollout: turns({ wave: "rest", stopped: "Paused" }),
      ready: /^False RolloutPaused: rollout\.paused is set: 1 of 5/,
      stalled: /^True RolloutPaused/,
    },
    {
      when: "goes back",
      rollout: { ...turns({ wave: "rest" }), rollback: { from: "relay:2", to: "relay:1" } },
      ready: /^False RolledBack: relay:2 was given up, .* go back to relay:1: 1 of 5 have it/,
      stalled: /^True RolledBack/,
    },
  ])("that $when", ({ rollout, ready, stalled }) => {
    const status = statusOf({ members, rollout });
    expect(said(status, "Ready")).toMatch(ready);
    expect(said(status, "Stalled")).toMatch(stalled);
    expect(status.rollout).toMatchObject({ wave: "rest", startTime: "2026-11-29T12:00:00Z" });
    expect(status.rollout?.message).toMatch(/1 of 5/);
    expect(ChatmailFleetStatus.safeParse(status).success).toBe(true);
  });

  test("keeps the time at which it began until the target is another", () => {
    const rollout = turns({ wave: "rest" });
    const before = statusOf({ members, rollout });
    const later = new Date(now.getTime() + 60_000);
    const again = statusOf({ members, rollout: { ...rollout, turns: nothingToDo.turns } }, { before, now: later });
    expect(again.rollout).toEqual({ target: "relay:2", startTime: "2026-11-29T12:00:00Z" });
    const next = statusOf({ members, rollout: { ...rollout, wanted: "relay:3" } }, { before: again, now: later });
    expect(next.rollout?.startTime).toBe("2026-11-29T12:01:00Z");
  });

  test("that is paused with nobody waiting is nobody's work", () => {
    const rollout = turns({ stopped: "Paused" });
    expect(said(statusOf({ members: [member("a", "ready")], rollout }), "Ready")).toMatch(/^True/);
  });
});

test("the worst are at most twenty, those that need a person first, and the status stays small", () => {
  const long = condition("Ready", "False", "PodPending", "x".repeat(4_000));
  const members = [
    ...Array.from({ length: 30 }, (_, nth) => ({
      server: aMember(`a${nth}`, {}, { status: { conditions: [long] } }),
      update: "Waiting" as const,
    })),
    member("z", "stalled"),
  ];
  const status = statusOf({ members });
  expect(status.worst).toHaveLength(20);
  expect(status.worst?.[0]).toEqual({ name: "z", reason: "VolumeLost", message: "because" });
  expect(JSON.stringify(status).length).toBeLessThan(12_000);
  expect(ChatmailFleetStatus.safeParse(status).success).toBe(true);
});

test("the same servers give the same status, whatever has passed since", () => {
  const members = [member("a", "ready"), member("b", "ready")];
  const before = statusOf({ members });
  expect(statusOf({ members }, { before, now: new Date(now.getTime() + 60_000) })).toEqual(before);
});

test.each([
  {
    what: "the message of Ready",
    by: { status: { conditions: [condition("Ready", "True", "Serving", "else")] } },
    same: true,
  },
  {
    what: "the reason of Ready",
    by: { status: { conditions: [condition("Ready", "False", "PodPending")] } },
    same: false,
  },
  { what: "a label", by: { metadata: { labels: { ring: "canary" } } }, same: false },
])("a change of $what is of interest to the fleet: $same", ({ by, same }) => {
  const before = aMember("a", {}, { status: { conditions: [condition("Ready", "True", "Serving")] } });
  const after = { status: before.status, ...by };
  expect(summaryOf(aMember("a", {}, after)) === summaryOf(before)).toBe(same);
});
