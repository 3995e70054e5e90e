/**
 * A new version goes through a fleet of servers on a real API server; their pods are only objects.
 * The operator is killed at random moments: what it has to know it finds in the cluster.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { apiServerIsMissing } from "../helpers/api-server.ts";
import { FleetRollout, imageOf, isCanary, nameOf } from "../helpers/fleet-rollout.ts";
import { seededRandom } from "../helpers/seeded-random.ts";
import { patienceMs, until } from "../helpers/until.ts";

const missing = apiServerIsMissing();
if (missing) console.warn(`skipped: ${missing}`);

/** As many as two slow cores can do in a test; `npm run bench -- rollout` has a thousand. */
const size = 40;
const limit = 4;
/** Of the third version, one of the canaries does not start. */
const planted = nameOf(1);

describe.skipIf(missing !== undefined)("a new version in a fleet", () => {
  let fleet: FleetRollout;
  beforeAll(async () => {
    fleet = await FleetRollout.open({
      size,
      rollout: {
        waves: [
          { name: "canary", selector: { matchLabels: { ring: "canary" } }, soakSeconds: 1 },
          { name: "rest", maxUnavailable: `${(100 * limit) / size}%` },
        ],
        gate: "Ready",
      },
      isBroken: ({ name, image }) => name === planted && image === imageOf("3"),
      patienceMs: patienceMs.pod,
    });
  }, patienceMs.pod);
  afterAll(() => fleet?.close());

  const canaries = Array.from({ length: size }, (_, nth) => nth)
    .filter((nth) => isCanary(nth, size))
    .map(nameOf);
  const has = (version: string) => fleet.pods.started.filter(({ image }) => image === imageOf(version));

  test("comes in waves, with no more down than allowed, though the operator is killed again and again", async () => {
    fleet.takeCalls();
    fleet.pods.takeMostDown();
    await fleet.edit({ version: "2" });
    const random = seededRandom(1);
    let pods = 0;
    for (let kills = 0; kills < 4; kills++) {
      pods += Math.ceil((random() * size) / 4);
      const many = pods;
      await until(`${many} pods of the version`, () => has("2").length >= many, { patienceMs: patienceMs.pod });
      fleet.restart();
    }
    await fleet.untilUpdated("2");
    expect(fleet.pods.takeMostDown()).toBeLessThanOrEqual(limit);
    const order = has("2").map(({ name }) => name);
    expect(new Set(order).size).toBe(size);
    // each once: no restart replaced a pod again
    expect(order).toHaveLength(size);
    expect(order.slice(0, canaries.length).sort()).toEqual(canaries);
    console.log("rollout through %d servers, 4 kills: %o", size, fleet.takeCalls());
  });

  test("paused, nobody gets a turn", async () => {
    await fleet.edit({ version: "3", paused: true });
    await fleet.untilStatus("all servers to wait", ({ servers }) => servers?.waiting === size);
    expect(has("3")).toEqual([]);
    expect((await fleet.status()).rollout?.message).toMatch(/paused/);
  });

  test("that fails on one stops there, and the others serve on", async () => {
    fleet.pods.takeMostDown();
    await fleet.edit({ paused: false });
    const { conditions, servers } = await fleet.untilStatus("the rollout to stop", (status) =>
      (status.conditions ?? []).some(({ type, reason }) => type === "Ready" && reason === "RolloutStopped"),
    );
    expect(conditions?.find(({ type }) => type === "Stalled")?.status).toBe("True");
    expect(conditions?.find(({ type }) => type === "Ready")?.message).toContain(planted);
    expect(servers).toMatchObject({ total: size, failed: 1 });
    expect(fleet.pods.takeMostDown()).toBeLessThanOrEqual(limit);
    // also a new operator goes no further
    fleet.restart();
    const started = has("3").length;
    expect(started).toBeLessThanOrEqual(canaries.length);
    await fleet.untilStatus("the failed one to serve again", (status) => status.servers?.ready === size);
    expect(has("3")).toHaveLength(started);
  });

  test("goes back where the fleet says so, no faster than it came", async () => {
    fleet.pods.takeMostDown();
    await fleet.edit({ onFailure: "Rollback" });
    const { rollout, conditions } = await fleet.untilUpdated("2", (status) => status.rollout?.givenUp === imageOf("3"));
    expect(rollout).toMatchObject({ givenUp: imageOf("3"), instead: imageOf("2"), target: imageOf("2") });
    expect(conditions?.find(({ type }) => type === "Stalled")).toMatchObject({ status: "True", reason: "RolledBack" });
    expect(fleet.pods.takeMostDown()).toBeLessThanOrEqual(limit);
    const last = new Map(fleet.pods.started.map(({ name, image }) => [name, image]));
    expect([...new Set(last.values())]).toEqual([imageOf("2")]);
  });

  test("another version begins anew", async () => {
    await fleet.edit({ version: "4" });
    await fleet.untilUpdated("4", ({ conditions = [] }) =>
      conditions.some(({ type, status }) => type === "Ready" && status === "True"),
    );
    expect((await fleet.status()).rollout?.givenUp).toBeUndefined();
  });
});
