import { describe, expect, test } from "vitest";
import { type Member, type MemberState, type Turns, turnsOf } from "../../../../src/operator/rollout/gate.ts";
import { limitOf, type Policy } from "../../../../src/operator/rollout/policy.ts";
import { seededRandom } from "../../../helpers/seeded-random.ts";

const now = new Date("2026-12-01T02:00:00Z");
const ago = (seconds: number) => new Date(now.getTime() - seconds * 1_000);
const later = (seconds: number) => ago(-seconds);

const policy: Policy = {
  waves: [
    { name: "canary", count: 1, maxUnavailable: 1, soakSeconds: 60 },
    { name: "rest", maxUnavailable: 2, soakSeconds: 10 },
  ],
  gate: "Ready",
  maxFailures: 1,
  paused: false,
};

const waiting: MemberState = { is: "Waiting", isServing: true };
const waitingDown: MemberState = { is: "Waiting", isServing: false };
const held: MemberState = { is: "Held", isServing: true };
const failed: MemberState = { is: "Failed", isServing: true };
const failedDown: MemberState = { is: "Failed", isServing: false };
const updating: MemberState = { is: "OnTarget", wasServing: true };
const curing: MemberState = { is: "OnTarget", wasServing: false };
const served = (seconds: number): MemberState => ({ is: "OnTarget", wasServing: true, readySince: ago(seconds) });
const early: MemberState = { is: "Waiting", isServing: true, notBefore: later(600) };
const delivers = (is: boolean, seconds: number): MemberState => ({
  is: "OnTarget",
  wasServing: true,
  readySince: ago(1_000),
  deliverable: { is, since: ago(seconds) },
});

interface Row extends Partial<Turns> {
  when: string;
  /** By key: a, b, c … */
  states: MemberState[];
  labels?: Record<string, string>[];
  by?: Partial<Policy>;
}

const rows: Row[] = [
  { when: "there is nobody", states: [], go: [] },
  { when: "nothing is to do", states: [served(100), served(100)], go: [] },
  { when: "it begins", states: [waiting, waiting, waiting], go: ["a"], wave: "canary" },
  { when: "the canary is updated", states: [updating, waiting, waiting], go: [], wave: "canary", awaited: ["a"] },
  {
    when: "the canary soaks",
    states: [served(59), waiting, waiting],
    go: [],
    wave: "canary",
    awaited: ["a"],
    again: later(1),
  },
  { when: "the canary has soaked", states: [served(60), waiting, waiting, waiting], go: ["b", "c"], wave: "rest" },
  { when: "another server was the canary", states: [waiting, waiting, served(60)], go: ["a", "b"], wave: "rest" },
  { when: "one of the rest is updated", states: [served(60), updating, waiting, waiting], go: ["c"], awaited: ["b"] },
  { when: "all places are taken", states: [served(60), updating, served(9), waiting], go: [], again: later(1) },
  { when: "one of them has soaked", states: [served(60), updating, served(10), waiting], go: ["d"] },
  { when: "a server of an earlier wave is down", states: [updating, served(60), waiting, waiting, waiting], go: ["c"] },
  { when: "the canary failed", states: [failed, waiting, waiting], go: [], stopped: "Failures", failed: ["a"] },
  {
    when: "the canary failed and one may",
    states: [failed, waiting, waiting],
    by: { maxFailures: 2 },
    go: ["b"],
    wave: "canary",
    failed: ["a"],
  },
  {
    when: "one that failed stays down",
    states: [served(60), failedDown, waiting, waiting],
    by: { maxFailures: 9 },
    go: ["c"],
    failed: ["b"],
  },
  {
    when: "those that stay down have all places",
    states: [served(60), failedDown, failedDown, waiting],
    by: { maxFailures: 9 },
    go: [],
    stopped: "Failures",
  },
  { when: "it is paused", states: [waiting], by: { paused: true }, go: [], stopped: "Paused" },
  { when: "the first one does not serve", states: [waitingDown, waiting], go: ["b"], wave: "canary" },
  { when: "none of them serves", states: [waitingDown, waitingDown], go: ["a"], wave: "canary" },
  {
    when: "some do not serve, and the others are at work",
    states: [served(60), updating, updating, waitingDown, waitingDown, waitingDown],
    go: ["d", "e"],
  },
  {
    when: "one is about to be cured",
    states: [served(60), curing, waitingDown, waitingDown, waiting, waiting],
    go: ["e", "f", "c"],
  },
  { when: "the first one is held", states: [held, waiting, waiting], go: ["b"], wave: "canary" },
  { when: "a held one is in the rest", states: [served(60), held, waiting], go: ["c", "b"], wave: "rest" },
  { when: "only held ones are left", states: [served(60), held], go: ["b"], wave: undefined },
  { when: "the window of the first one is not open", states: [early, waiting], go: ["b"], wave: "canary" },
  { when: "no window is open", states: [early, early], go: [], wave: "canary", again: later(600) },
  {
    when: "one of the rest can't deliver",
    states: [delivers(true, 60), delivers(false, 500), waiting, waiting],
    by: { gate: "Deliverable" },
    go: ["c"],
    awaited: ["b"],
  },
  {
    when: "the canary delivers since a minute",
    states: [delivers(true, 59), waiting],
    by: { gate: "Deliverable" },
    go: [],
    again: later(1),
  },
  {
    when: "whether the canary delivers is not known",
    states: [served(60), waiting],
    by: { gate: "Deliverable" },
    go: ["b"],
  },
  { when: "delivering is not asked for", states: [delivers(false, 60), waiting], go: ["b"] },
  {
    when: "the canaries are named by labels",
    states: [waiting, waiting, waiting],
    labels: [{}, { ring: "canary" }, { ring: "canary" }],
    by: {
      waves: [
        { name: "labelled", selector: { matchLabels: { ring: "canary" } }, maxUnavailable: 5, soakSeconds: 60 },
        { name: "rest", maxUnavailable: 1, soakSeconds: 0 },
      ],
    },
    go: ["b", "c"],
    wave: "labelled",
  },
  {
    when: "a wave is a share",
    states: [served(60), ...Array<MemberState>(9).fill(waiting)],
    by: {
      waves: [
        { name: "canary", count: 1, maxUnavailable: 1, soakSeconds: 60 },
        { name: "third", sharePercent: 30, maxUnavailable: "100%", soakSeconds: 60 },
        { name: "rest", maxUnavailable: 5, soakSeconds: 0 },
      ],
    },
    go: ["b", "c", "d"],
    wave: "third",
  },
  {
    when: "servers are in no wave",
    states: [served(60), waiting, waiting],
    by: { waves: [{ name: "canary", count: 1, maxUnavailable: 1, soakSeconds: 60 }] },
    go: ["b"],
    wave: "others",
  },
];

const keys = "abcdefghijkl";

test.each(rows)("when $when: $go", ({ when: _, states, labels = [], by = {}, ...wanted }) => {
  const members = states.map((state, nth): Member => ({ key: keys[nth] ?? "", labels: labels[nth] ?? {}, state }));
  expect(turnsOf(members, { ...policy, ...by }, now)).toMatchObject(wanted);
  expect(turnsOf(members.toReversed(), { ...policy, ...by }, now)).toMatchObject(wanted);
});

/** One server of a cluster as the test plays it. */
interface Played {
  key: string;
  labels: Record<string, string>;
  state: MemberState;
  /** What its update comes to. */
  fate: "ready" | "fails" | "stays down" | "held once" | "dead before";
  hasTried?: boolean;
  /** When its update has come to its end. */
  endsAt?: number;
}

describe("in a cluster of any servers, with an operator that is killed at any moment", () => {
  test.each(Array.from({ length: 300 }, (_, seed) => ({ seed })))("seed $seed", ({ seed }) => {
    const random = seededRandom(seed);
    const below = (n: number) => Math.floor(random() * n);
    const maxFailures = 1 + below(4);
    const by: Policy = {
      waves: [
        below(2) === 0
          ? { name: "canary", count: 1 + below(2), maxUnavailable: 1, soakSeconds: below(30) }
          : { name: "canary", selector: { matchLabels: { ring: "canary" } }, maxUnavailable: 1, soakSeconds: 5 },
        { name: "some", sharePercent: below(40), maxUnavailable: 1 + below(3), soakSeconds: below(10) },
        { name: "rest", maxUnavailable: ["20%", 1, 4][below(3)] ?? 1, soakSeconds: below(10) },
      ],
      gate: "Ready",
      maxFailures,
      paused: false,
    };
    const servers = Array.from({ length: 1 + below(30) }, (_, nth): Played => {
      const fate = (["fails", "stays down", "held once", "dead before"] as const)[below(40)] ?? "ready";
      const state: MemberState = { is: "Waiting", isServing: fate !== "dead before" };
      return { key: String(nth).padStart(2, "0"), labels: { ring: below(5) === 0 ? "canary" : "no" }, state, fate };
    });
    const widest = Math.max(...by.waves.map((wave) => limitOf(wave, servers.length)));
    let time = now.getTime();
    let ended = false;
    for (let step = 0; step < 2_000 && !ended; step++) {
      time += 1_000 * (1 + below(4));
      for (const server of servers) endUpdate(server, time);
      // a kill between the answer and the turns: only some of them are taken
      const turns = turnsOf(servers, by, new Date(time));
      const taken = below(5) === 0 ? below(turns.go.length + 1) : turns.go.length;
      for (const key of turns.go.slice(0, taken)) begin(servers, key, time + 1_000 * (1 + below(20)));
      const down = servers.filter(({ state, fate }) => fate !== "dead before" && !serves(state)).length;
      expect(down, `servers without service at step ${step}`).toBeLessThanOrEqual(widest);
      ended = turns.stopped !== undefined || (turns.wave === undefined && turns.go.length === 0);
    }
    expect(ended, "the rollout comes to an end").toBe(true);
    const failures = servers.filter(({ state }) => state.is === "Failed").length;
    const untouched = servers.filter(({ state }) => state.is === "Waiting");
    if (failures === 0) expect(untouched).toEqual([]);
  });

  const serves = (state: MemberState) => (state.is === "OnTarget" ? state.readySince !== undefined : state.isServing);

  function begin(servers: Played[], key: string, endsAt: number): void {
    const server = servers.find((each) => each.key === key);
    if (!server) throw new Error(`a turn for ${key}, which is none of them`);
    expect(["Waiting", "Held"]).toContain(server.state.is);
    if (server.fate === "held once" && !server.hasTried) {
      server.hasTried = true;
      server.state = held;
      return;
    }
    server.endsAt = endsAt;
    server.state = { is: "OnTarget", wasServing: server.fate !== "dead before" };
  }

  function endUpdate(server: Played, time: number): void {
    if (server.endsAt === undefined || server.endsAt > time) return;
    const at = new Date(server.endsAt);
    delete server.endsAt;
    if (server.fate === "fails") server.state = failed;
    else if (server.fate === "stays down") server.state = failedDown;
    else server.state = { is: "OnTarget", wasServing: server.fate !== "dead before", readySince: at };
  }
});
