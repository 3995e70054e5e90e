/**
 * Operators whose scopes overlap, against a real API server: one has a namespace, the other waits.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { ownerLeaseName, ownershipTimes } from "../../src/operator/ownership.ts";
import type { LiveEvent } from "../../src/operator/server/live.ts";
import type { World } from "../../src/operator/server/world.ts";
import { apiServerIsMissing } from "../helpers/api-server.ts";
import {
  namespace,
  OperatorCluster,
  type OperatorOptions,
  pathOf,
  type RunningOperator,
} from "../helpers/operator-cluster.ts";
import { patienceMs, until } from "../helpers/until.ts";

const missing = apiServerIsMissing();
if (missing) console.warn(`skipped: ${missing}`);

const patience = { patienceMs: patienceMs.client, everyMs: 50 };
const other = "second-team";
const later = "made-later";

interface LiveLease {
  metadata: { resourceVersion: string };
  spec: { holderIdentity?: string; renewTime?: string; leaseTransitions?: number };
}

describe.skipIf(missing !== undefined)("with a real API server", () => {
  let cluster: OperatorCluster;
  let running: RunningOperator[] = [];

  const start = (leaseName: string, options: OperatorOptions = {}) => {
    const operator = cluster.startOperator({ leaseName, ...options });
    running.push(operator);
    return operator;
  };
  /** Looks often, so that the test need not wait as long as an administrator. */
  const quick = { ...ownershipTimes, lookMs: 100 };
  const owner = (at = namespace) => cluster.get<LiveLease>("leases", ownerLeaseName, at);
  const isOwnedBy = (leaseName: string, at = namespace) =>
    until(
      `${at} to belong to ${leaseName}`,
      async () => (await owner(at)).spec?.holderIdentity === `${namespace}/${leaseName}`,
      patience,
    );
  const burstOf = async (name: string) =>
    JSON.stringify(await cluster.get("configmaps", `${name}-plan`)).match(/sendBurst[^0-9]+(\d+)/)?.[1];
  const eventsAbout = async (name: string) =>
    (await cluster.get<{ items: LiveEvent[] }>("events", "")).items.filter(
      ({ involvedObject, reason }) => involvedObject.name === name && reason === "OtherOperator",
    );
  /** Whom this operator takes for the owner of the namespace, where that is not itself. */
  const otherIn = ({ ownership }: World) => ownership.others.find((each) => each.namespace === namespace)?.holder;
  const setDefaults = (burst: number) => ({ serverDefaults: { accounts: { sendBurst: burst } } });

  beforeAll(async () => {
    cluster = await OperatorCluster.open([namespace, other]);
  });
  afterEach(async () => {
    await Promise.all(running.map((each) => each.stop()));
    running = [];
    for (const at of [namespace, other, later]) await cluster.remove("leases", ownerLeaseName, at);
  });
  afterAll(() => cluster?.close());

  test("the first has the namespace; the second writes nothing there, and says so once", async () => {
    const first = start("first", setDefaults(21));
    await cluster.makeServer("nine", { domain: "_nine.test" });
    await cluster.setUp("nine");
    await isOwnedBy("first");
    await cluster.bindVolume("nine");
    await cluster.runs("nine");
    const lease = (await owner()).metadata.resourceVersion;

    const second = start("second", { ...setDefaults(22), ownershipTimes: quick });
    const told = async () => (await eventsAbout("nine")).length > 0;
    await until("the event", told, patience);
    const [event] = await eventsAbout("nine");
    expect(event?.message).toContain(`operator ${namespace}/first looks after namespace ${namespace}`);
    expect(event?.type).toBe("Warning");
    expect(second.world.ownership.others).toEqual([{ namespace, holder: `${namespace}/first` }]);
    expect(first.world.ownership.others).toEqual([]);
    // it looks again and again, and still writes nothing
    const lines = () => second.log.lines.filter((line) => line.message.includes("another operator looks after"));
    const reads = () => second.client.requests.total({ resource: "leases" });
    const readsBefore = reads();
    await until("some looks", () => reads() > readsBefore + 4, patience);
    const sent = (labels: Record<string, string>) => second.client.requests.total(labels);
    for (const method of ["PATCH", "PUT", "DELETE"]) expect([method, sent({ method })]).toEqual([method, 0]);
    expect(sent({ method: "POST", resource: "events" })).toBe(1);
    expect(sent({ method: "POST" })).toBe(1);
    expect((await owner()).metadata.resourceVersion).toBe(lease);
    expect((await eventsAbout("nine")).length).toBe(1);
    expect(lines()).toHaveLength(1);

    // the first goes on with its work
    await cluster.patch("nine", { messages: { deleteAfterDays: 15 } });
    await until("the edit", async () =>
      JSON.stringify(await cluster.get("configmaps", "nine-plan")).includes("deleteAfterDays"),
    );
    expect(await burstOf("nine")).toBe("21");
  });

  test("each has its own namespace, also one that is created later", async () => {
    start("everywhere");
    const watchesOne = start("one-alone", { scopes: ["not-there-yet"] });
    await cluster.makeServer("ten", { domain: "_ten.test" }, other);
    await isOwnedBy("everywhere", other);
    await cluster.server.makeNamespace(later);
    await cluster.makeServer("late", { domain: "_later.test" }, later);
    const made = async () =>
      (await cluster.server.request("GET", pathOf("statefulsets", "late", later))).status === 200;
    await until("the StatefulSet", made, patience);
    await isOwnedBy("everywhere", later);
    await cluster.server.makeNamespace("not-there-yet");
    expect(watchesOne.world.ownership.others).toEqual([]);
    await cluster.makeServer("mine", { domain: "_mine.test" }, "not-there-yet");
    // whoever is first there
    const held = async () => (await owner("not-there-yet")).spec?.holderIdentity;
    await until("it to have an owner", held, patience);
    // a namespace without servers has no record
    expect((await cluster.server.request("GET", pathOf("leases", ownerLeaseName, "default"))).status).toBe(404);
  });

  test("two that begin at the same moment agree", async () => {
    const both = [start("left", { ownershipTimes: quick }), start("right", { ownershipTimes: quick })];
    await until(
      "one to have it",
      () => both.filter(({ world }) => otherIn(world) !== undefined).length === 1,
      patience,
    );
    const holder = (await owner()).spec.holderIdentity;
    const loser = both.find(({ world }) => otherIn(world) !== undefined);
    expect(loser && otherIn(loser.world)).toBe(holder);
  });

  test("replicas of one operator, and the next version of it, have the same namespaces", async () => {
    await (await startAndStop("same")).stop();
    const { leaseTransitions } = (await owner()).spec;
    start("same");
    await cluster.makeServer("again", { domain: "_again.test" });
    await cluster.setUp("again");
    expect((await owner()).spec.leaseTransitions).toBe(leaseTransitions);
  });

  test("one that nobody leads any more loses its namespaces, and so does one that is not heard of", async () => {
    for (const times of [
      { ...quick, leaderlessMs: 300 },
      { ...quick, lastsMs: 60_000 },
    ]) {
      const leaderless = times.leaderlessMs === 300;
      await cluster.make("leases", {
        apiVersion: "coordination.k8s.io/v1",
        kind: "Lease",
        metadata: { name: ownerLeaseName, namespace },
        spec: {
          holderIdentity: leaderless ? `${namespace}/former` : "elsewhere/former",
          leaseDurationSeconds: leaderless ? 3_600 : 1,
        },
      });
      // its own lease, which nobody renews; that of the other one is in a namespace that is gone
      if (leaderless)
        await cluster.make("leases", {
          apiVersion: "coordination.k8s.io/v1",
          kind: "Lease",
          metadata: { name: "former", namespace },
          spec: { holderIdentity: "former-0", leaseDurationSeconds: 15 },
        });
      const next = start("next", { ownershipTimes: times });
      await isOwnedBy("next");
      await until("it to know", () => otherIn(next.world) === undefined, patience);
      await next.stop();
      await cluster.remove("leases", ownerLeaseName);
    }
    await cluster.remove("leases", "former");
  });

  test("one that is led keeps them, however long the other looks", async () => {
    await cluster.make("leases", {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { name: ownerLeaseName, namespace },
      spec: { holderIdentity: `${namespace}/led`, leaseDurationSeconds: 3_600 },
    });
    const led = { name: "led", namespace };
    const kind = { apiVersion: "coordination.k8s.io/v1", kind: "Lease" };
    await cluster.make("leases", {
      ...kind,
      metadata: led,
      spec: { holderIdentity: "led-0", leaseDurationSeconds: 15 },
    });
    const waiting = start("waiting", { ownershipTimes: { ...quick, leaderlessMs: 60_000 } });
    const reads = () => waiting.client.requests.total({ resource: "leases" });
    await until("many looks", () => reads() > 20, patience);
    expect((await owner()).spec.holderIdentity).toBe(`${namespace}/led`);
    await cluster.remove("leases", "led");
  });

  test("the record is renewed, and one that somebody deletes comes back", async () => {
    const renewing = { ...ownershipTimes, lookMs: 100, renewMs: 200 };
    start("renewing", { ownershipTimes: renewing });
    await isOwnedBy("renewing");
    const before = (await owner()).spec.renewTime;
    await until("another time", async () => (await owner()).spec.renewTime !== before, patience);
    await cluster.remove("leases", ownerLeaseName);
    await isOwnedBy("renewing");
  });

  async function startAndStop(leaseName: string): Promise<RunningOperator> {
    const operator = start(leaseName);
    await isOwnedBy(leaseName);
    return operator;
  }
});
