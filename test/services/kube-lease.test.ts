/** Who leads, on a real API server: through cut and swallowed connections, clocks that jump and a server that restarts, never two at once. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { kubeClient } from "../../src/kube/client.ts";
import { type LeaseTimes, leadWithLease } from "../../src/kube/lease.ts";
import { type ApiServer, apiServerIsMissing, startApiServer } from "../helpers/api-server.ts";
import { keptLog } from "../helpers/fake-api-server.ts";
import { type FaultProxy, faultProxy } from "../helpers/fault-proxy.ts";
import { until } from "../helpers/until.ts";

const missing = apiServerIsMissing();
if (missing) console.warn(`left out: ${missing}`);

const times: LeaseTimes = { lastsMs: 2_000, renewWithinMs: 1_300, retryMs: 150 };

describe.skipIf(missing)("a lease on a real API server", () => {
  let server: ApiServer;
  let leases = 0;
  const ends: (() => Promise<unknown>)[] = [];
  beforeAll(async () => {
    server = await startApiServer();
    await server.makeNamespace("lease");
  });
  afterEach(async () => {
    await Promise.all(ends.splice(0).map((end) => end()));
  });
  afterAll(() => server?.stop());

  /** Candidates for one lease, each with a way of its own to the server; `most` is how many ever led at the same time. */
  async function candidates(clocks: readonly (() => Date)[]) {
    const name = `lease-${leases++}`;
    const field = { leading: 0, most: 0, handovers: [] as { who: number; at: number }[] };
    const all: { state: { leads: boolean; ended?: "lost" | "stopped" }; proxy: FaultProxy; stop(): Promise<void> }[] =
      [];
    for (const [who, now] of clocks.entries()) {
      const proxy: FaultProxy = await faultProxy(server);
      const client = kubeClient(server.credentials(proxy.url), { userAgent: `candidate-${who}` });
      const stopping = new AbortController();
      const state: (typeof all)[number]["state"] = { leads: false };
      const done = leadWithLease({
        client,
        namespace: "lease",
        name,
        identity: `candidate-${who}`,
        times,
        now,
        log: keptLog(),
        signal: stopping.signal,
        lead: async (signal) => {
          state.leads = true;
          field.leading++;
          field.most = Math.max(field.most, field.leading);
          field.handovers.push({ who, at: performance.now() });
          await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
          field.leading--;
          state.leads = false;
        },
      }).then((ended) => {
        state.ended = ended;
      });
      const stop = async () => {
        stopping.abort(new Error("stopped"));
        await done;
      };
      ends.push(async () => {
        proxy.heal();
        await stop();
        client.close();
        await proxy.close();
      });
      all.push({ state, proxy, stop });
    }
    const leader = () => until("a leader", () => all.find(({ state }) => state.leads), { patienceMs: 10_000 });
    return { field, all, leader };
  }

  const rightClock = () => new Date();
  const shifted = (ms: number) => () => new Date(Date.now() + ms);

  test("who stops hands over at once; clocks that are hours apart do not matter", async () => {
    const { field, leader } = await candidates([shifted(-7_200_000), rightClock, shifted(7_200_000)]);
    const first = await leader();
    // Longer than a lease lasts: nobody takes what is renewed, however old its times look.
    await sleep(times.lastsMs + 500);
    expect(first.state.leads).toBe(true);
    expect(field.handovers).toHaveLength(1);
    const stoppedAt = performance.now();
    await first.stop();
    await leader();
    expect((field.handovers[1]?.at ?? Number.POSITIVE_INFINITY) - stoppedAt).toBeLessThan(times.lastsMs);
    expect(field.most).toBe(1);
  });

  test("a leader whose clock jumps goes on to lead", async () => {
    let stepMs = 0;
    const { field, leader } = await candidates([
      () => new Date(Date.now() + stepMs),
      () => new Date(Date.now() + stepMs),
    ]);
    const first = await leader();
    for (stepMs of [3_600_000, -3_600_000]) await sleep(times.renewWithinMs);
    expect(first.state.leads).toBe(true);
    expect(field.handovers).toHaveLength(1);
  });

  test("a leader in a black hole stops before the next one leads", async () => {
    const { field, leader } = await candidates([rightClock, rightClock]);
    const first = await leader();
    first.proxy.blackHole();
    await until("the next leader", () => field.handovers.length === 2, { patienceMs: 15_000 });
    expect(field.most).toBe(1);
    expect(first.state.ended).toBe("lost");
  });

  test("resets, refusals and a restart of the server that are over in time change nothing", async () => {
    const { field, all, leader } = await candidates([rightClock, rightClock]);
    const first = await leader();
    for (const { proxy } of all) proxy.reset();
    await sleep(300);
    first.proxy.answer(() => ({ status: 503, reason: "ServiceUnavailable" }));
    await sleep(600);
    first.proxy.heal();
    await sleep(500);
    first.proxy.halfClose();
    await sleep(500);
    expect(first.state.leads).toBe(true);
    expect(field.handovers).toHaveLength(1);
    await server.kill();
    await server.start();
    await leader();
    expect(field.most).toBe(1);
  });
});
