import { describe, expect, test } from "vitest";
import type { ChatmailServer, ChatmailServerStatus } from "../../../../src/api/chatmail-server.ts";
import { annotations } from "../../../../src/api/names.ts";
import { claimNameOf } from "../../../../src/operator/server/claims.ts";
import { podChildren } from "../../../../src/operator/server/desired.ts";
import type { LiveJob, LivePod, LiveStatefulSet, LiveVolumeClaim } from "../../../../src/operator/server/live.ts";
import { lossesIn } from "../../../../src/operator/server/losses.ts";
import { type Move, moveOf, movesOver, stopsJobs, stopsRelay } from "../../../../src/operator/server/move.ts";
import { moveProblem } from "../../../../src/operator/server/move-report.ts";
import type { Seen } from "../../../../src/operator/server/seen.ts";
import { statusOf } from "../../../../src/operator/server/status.ts";
import { aServer } from "../../../helpers/a-server.ts";
import { dkimKeys, facts, present } from "../../../helpers/identities.ts";

const claim = (name: string, marks: { number?: string; copyOf?: string } = {}, more: object = {}): LiveVolumeClaim => ({
  apiVersion: "v1",
  kind: "PersistentVolumeClaim",
  metadata: {
    name,
    uid: `uid-${name}`,
    labels: { "chatmail.dev/server": "nine" },
    annotations: {
      ...(marks.number && { [annotations.volumeNumber]: marks.number }),
      ...(marks.copyOf && { [annotations.copyOf]: marks.copyOf }),
    },
    ...more,
  },
  spec: { volumeName: `pv-${name}`, resources: { requests: { storage: "10Gi" } } },
  status: { phase: "Bound", capacity: { storage: "10Gi" } },
});
const first = claim("nine-data");
const copy = claim("nine-data-2", { copyOf: first.metadata.uid ?? "" });
const moved = claim("nine-data-2", { copyOf: first.metadata.uid ?? "", number: "1" });

const set = (replicas: number, generation = 1, observed = generation): LiveStatefulSet => ({
  apiVersion: "apps/v1",
  kind: "StatefulSet",
  metadata: { name: "nine", uid: "set", generation },
  spec: { replicas, selector: {}, serviceName: "nine", template: {} },
  status: { observedGeneration: observed, replicas },
});
const pod: LivePod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "nine-0" },
  spec: { nodeName: "one", containers: [] },
  status: { phase: "Running", conditions: [{ type: "Ready", status: "True" }] },
};
const job = (name: string, type?: "Complete" | "Failed", wish = "nine-data-2"): LiveJob => ({
  apiVersion: "batch/v1",
  kind: "Job",
  metadata: { name, annotations: { [annotations.moveVolume]: wish } },
  status: { conditions: type ? [{ type, status: "True" }] : [] },
});
const healthy: Seen = {
  identity: {
    tls: present(facts),
    dkim: present(dkimKeys({ selector: "chatmail", key: { type: "rsa", base64: "AAA" } })),
  },
  certificate: { source: "SelfSigned", secretName: "nine-tls", facts },
  volumeClaim: first,
  claimName: "nine-data",
  otherClaims: [],
  moveJobs: [],
  statefulSet: set(1),
  pod,
  jobs: [],
};
const remembered: ChatmailServerStatus = {
  storage: { claimName: "nine-data", claimUID: "uid-nine-data", volumeName: "pv-nine-data" },
};
const server = (wish: string | undefined = "nine-data-2", status = remembered, spec = {}): ChatmailServer => ({
  ...aServer(spec, wish === undefined ? {} : { annotations: { [annotations.moveVolume]: wish } }),
  status,
});
const decide = (seen: Partial<Seen>, of = server()) => moveOf(of, { ...healthy, ...seen });
const nameOf = (seen: Partial<Seen>, of = server()): string => {
  const move = decide(seen, of);
  if (move?.is !== "copy") throw new Error(`no copy: ${JSON.stringify(move)}`);
  return move.jobName;
};
const stepOf = (move: Move | undefined) => (move?.is === "copy" ? `copy ${move.pass}` : (move?.is ?? "nothing"));

const copied = { otherClaims: [copy], moveJobs: [job(nameOf({ otherClaims: [copy] }), "Complete")] };
const stopped = { statefulSet: set(0, 2), pod: undefined };
const rest = nameOf({ ...copied, ...stopped });

test.each<{ when: string; seen: Partial<Seen>; step: string; stops?: true }>([
  { when: "the claim does not exist", seen: {}, step: "provide" },
  { when: "it was created", seen: { otherClaims: [copy] }, step: "copy first" },
  {
    when: "the first pass is at work",
    seen: { otherClaims: [copy], moveJobs: [job(nameOf({ otherClaims: [copy] }))] },
    step: "copy first",
  },
  { when: "the first pass is done", seen: copied, step: "stop", stops: true },
  { when: "a job works on the volume", seen: { ...copied, jobs: [job("nine-expiry-1")] }, step: "drain" },
  {
    when: "that job has ended",
    seen: { ...copied, jobs: [job("nine-expiry-1", "Complete")] },
    step: "stop",
    stops: true,
  },
  { when: "the pod is ending", seen: { ...copied, statefulSet: set(0, 2) }, step: "stop", stops: true },
  {
    when: "the controller has not seen the stop",
    seen: { ...copied, ...stopped, statefulSet: set(0, 2, 1) },
    step: "stop",
    stops: true,
  },
  { when: "the pod is gone", seen: { ...copied, ...stopped }, step: "copy rest", stops: true },
  {
    when: "the second pass is done",
    seen: { ...copied, ...stopped, moveJobs: [...copied.moveJobs, job(rest, "Complete")] },
    step: "swap",
    stops: true,
  },
  {
    when: "the relay has run again since the second pass",
    seen: { ...copied, pod: undefined, statefulSet: set(0, 4), moveJobs: [...copied.moveJobs, job(rest, "Complete")] },
    step: "copy rest",
    stops: true,
  },
  {
    when: "the second pass has failed",
    seen: { ...copied, ...stopped, moveJobs: [...copied.moveJobs, job(rest, "Failed")] },
    step: "failed",
  },
  {
    when: "the first pass has failed",
    seen: { otherClaims: [copy], moveJobs: [job("nine-move-1", "Failed")] },
    step: "failed",
  },
  {
    when: "an earlier try has failed",
    seen: { otherClaims: [copy], moveJobs: [job("nine-move-1", "Failed", "nine-data-2 earlier")] },
    step: "copy first",
  },
  {
    when: "a pod is on no node",
    seen: { otherClaims: [copy], pod: { ...pod, spec: { containers: [] } } },
    step: "stop",
    stops: true,
  },
  {
    when: "the swap was made",
    seen: { volumeClaim: moved, claimName: "nine-data-2", otherClaims: [first] },
    step: "nothing",
  },
  {
    when: "the claim is of another move",
    seen: { otherClaims: [claim("nine-data-2", { copyOf: "x" })] },
    step: "refused",
  },
  {
    when: "the claim is being deleted",
    seen: {
      otherClaims: [claim("nine-data-2", { copyOf: "uid-nine-data" }, { deletionTimestamp: "2026-11-30T00:00:00Z" })],
    },
    step: "refused",
  },
  {
    when: "the volume is not bound",
    seen: { volumeClaim: { ...first, status: { phase: "Pending" } } },
    step: "refused",
  },
  { when: "the volume is lost", seen: { volumeClaim: undefined }, step: "refused" },
])("when $when: $step", ({ seen, step, stops }) => {
  const move = decide(seen);
  expect(stepOf(move)).toBe(step);
  expect(stopsRelay(move)).toBe(stops ?? false);
  expect(stopsJobs(move)).toBe(stops ?? step === "drain");
});

test("nothing is moved without the annotation, while paused, or to a claim of another name", () => {
  expect(decide({}, { ...aServer({}), status: remembered })).toBeUndefined();
  expect(decide({}, server("nine-data-2", remembered, { management: "Paused" }))).toBeUndefined();
  expect(decide({}, server("nine-data"))).toBeUndefined();
  for (const wish of ["ten-data", "nine-database", "nine-data-2/x", "nine-dkim"])
    expect(stepOf(decide({}, server(wish)))).toBe("refused");
});

describe("back", () => {
  const after: ChatmailServerStatus = {
    storage: { claimName: "nine-data-2", claimUID: "uid-nine-data-2", volumeName: "pv-nine-data-2" },
  };
  const seen = { volumeClaim: moved, claimName: "nine-data-2", otherClaims: [first] };

  test("copies nothing: the relay stops, and the claim is used again", () => {
    expect(stepOf(decide(seen, server("nine-data", after)))).toBe("stop");
    expect(stepOf(decide({ ...seen, ...stopped }, server("nine-data", after)))).toBe("swap");
  });

  test("also from a volume that is lost", () => {
    const lost = { ...seen, ...stopped, volumeClaim: undefined };
    expect(stepOf(decide(lost, server("nine-data", after)))).toBe("swap");
  });
});

describe("the claim in use", () => {
  const after = { storage: { claimName: "nine-data-2", claimUID: "uid-nine-data-2", volumeName: "pv-nine-data-2" } };
  const nameIn = (claims: LiveVolumeClaim[], status?: ChatmailServerStatus) =>
    claimNameOf({ ...aServer({}), ...(status && { status }) }, claims);

  test.each([
    { when: "there is none", claims: [], status: undefined, name: "nine-data" },
    { when: "a copy is not finished", claims: [first, copy], status: remembered, name: "nine-data" },
    {
      when: "the operator was killed before the status was written",
      claims: [first, moved],
      status: remembered,
      name: "nine-data-2",
    },
    { when: "the status knows", claims: [first, moved], status: after, name: "nine-data-2" },
    { when: "the status is lost", claims: [first, moved], status: undefined, name: "nine-data-2" },
    { when: "the new one is lost, and the old one is there", claims: [first], status: after, name: "nine-data-2" },
    {
      when: "another one with a higher number appears",
      claims: [first, claim("nine-data-9", { number: "9", copyOf: "x" })],
      status: remembered,
      name: "nine-data",
    },
    {
      when: "the mailboxes went back",
      claims: [claim("nine-data", { number: "2", copyOf: "uid-nine-data-2" }), moved],
      status: after,
      name: "nine-data",
    },
  ])("when $when: $name", ({ claims, status, name }) => {
    expect(nameIn(claims, status)).toBe(name);
  });

  test("is no loss after the swap, and is one when a person replaced it", () => {
    const reasons = (volumeClaim: LiveVolumeClaim) =>
      lossesIn(server(), { ...healthy, volumeClaim }).map(({ reason }) => reason);
    expect(reasons(moved)).toEqual([]);
    expect(reasons(copy)).toEqual(["VolumeLost"]);
    expect(reasons(claim("nine-data-2", { number: "1", copyOf: "x" }))).toEqual(["VolumeLost"]);
  });
});

describe("what is applied", () => {
  const childrenOf = (seen: Partial<Seen>) => podChildren(server(), { ...healthy, ...seen }, { relayImage: "x" });
  const find = (seen: Partial<Seen>, kind: string) =>
    childrenOf(seen).find(({ object }) => object.kind === kind)?.object as unknown as Record<string, never>;
  const claimNamesIn = (object: unknown) =>
    [...JSON.stringify(object).matchAll(/"claimName":"([^"]*)"/g)].map((match) => match[1]);

  test("while the relay is stopped no pod and no job runs", () => {
    expect(find({ ...copied, ...stopped }, "StatefulSet")).toMatchObject({ spec: { replicas: 0 } });
    expect(find({ ...copied, ...stopped }, "CronJob")).toMatchObject({ spec: { suspend: true } });
    expect(find({ otherClaims: [copy] }, "StatefulSet")).toMatchObject({ spec: { replicas: 1 } });
    expect(find({ otherClaims: [copy] }, "CronJob")).not.toMatchObject({ spec: { suspend: true } });
  });

  test("after the swap all of it is on the other claim", () => {
    const seen = { volumeClaim: moved, claimName: "nine-data-2", otherClaims: [first] };
    for (const kind of ["StatefulSet", "CronJob"]) expect(claimNamesIn(find(seen, kind))).toEqual(["nine-data-2"]);
    expect(find(seen, "PersistentVolumeClaim")).toMatchObject({
      metadata: {
        name: "nine-data-2",
        annotations: { [annotations.volumeNumber]: "1", [annotations.copyOf]: "uid-nine-data" },
      },
    });
  });
});

test("the status says what is done, what has failed, and what is kept", () => {
  const storageOf = (seen: Partial<Seen>) =>
    statusOf({ server: server(), seen: { ...healthy, ...seen } }, new Date("2026-11-30T00:00:00Z")).conditions?.find(
      ({ type }) => type === "StorageReady",
    );
  expect(storageOf({ otherClaims: [copy] })).toMatchObject({
    status: "True",
    reason: "VolumeMoving",
    message: "copying claim nine-data to nine-data-2 while the relay runs",
  });
  expect(storageOf({ ...copied, ...stopped })).toMatchObject({ status: "False", reason: "VolumeMoving" });
  const failed = {
    otherClaims: [copy],
    moveJobs: [job("nine-move-1", "Failed")],
    moveProblem: "the volume is too small",
  };
  expect(storageOf(failed)).toMatchObject({ status: "False", reason: "VolumeMoveFailed" });
  expect(storageOf(failed)?.message).toMatch(/stay where they are: the volume is too small\. .*--again/);
  const seen = { volumeClaim: moved, claimName: "nine-data-2", otherClaims: [first] };
  expect(storageOf(seen)?.message).toMatch(/kept beside it: nine-data, until .*--confirm$/);
});

test("jobs of another try are no longer waited for", () => {
  const old = job("nine-move-1", "Failed", "nine-data-2 earlier");
  expect(movesOver(server(), { ...healthy, moveJobs: [old, job("nine-move-2")] })).toEqual([old]);
});

test("why a copy has failed is what its newest pod has left", () => {
  const ended = (at: string, message: string): LivePod => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: at, creationTimestamp: at, labels: { "chatmail.dev/component": "move" } },
    status: {
      phase: "Failed",
      containerStatuses: [
        {
          name: "move",
          ready: false,
          restartCount: 0,
          image: "",
          imageID: "",
          state: { terminated: { exitCode: 1, message } },
        },
      ],
    },
  });
  const say = (problem: string) => JSON.stringify({ problem });
  expect(moveProblem([ended("2026-01-01", say("old")), ended("2026-01-02", say("new"))])).toBe("new");
  expect(moveProblem([ended("2026-01-01", "no JSON")])).toBeUndefined();
  expect(moveProblem([])).toBeUndefined();
});
