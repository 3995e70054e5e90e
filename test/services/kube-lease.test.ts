/**
 * Who leads, on a real API server: through cut and swallowed connections, clocks that jump and a
 * server that restarts, never two at once.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { kubeClient } from "../../src/kube/client.ts";
import type { Lease } from "../../src/kube/kinds.ts";
import { type LeaseTimes, leadWithLease } from "../../src/kube/lease.ts";
import { type ApiServer, apiServerIsMissing, startApiServer } from "../helpers/api-server.ts";
import { keptLog } from "../helpers/fake-api-server.ts";
import { type FaultProxy, faultProxy } from "../helpers/fault-proxy.ts";
import { patienceMs, until } from "../helpers/until.ts";

const missing = apiServerIsMissing();
if (missing) console.warn(`left out: ${missing}`);

/** Nothing ends by itself in them: a machine that stands still for some seconds changes nothing. */
const long: LeaseTimes = { lastsMs: 30_000, renewWithinMs: 20_000, retryMs: 100 };
/** Where a lease has to end. */
const short: LeaseTimes = { lastsMs: 2_000, renewWithinMs: 1_300, retryMs: 150 };
/** Where a lease has to last, and be looked at for longer than it would without renewals. */
const medium: LeaseTimes = { lastsMs: 6_000, renewWithinMs: 5_000, retryMs: 200 };

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

  /**
   * Candidates for one lease, each with a way of its own to the server; `most` is how many ever led
   * at the same time.
   */
  async function candidates(clocks: readonly (() => Date)[], times: LeaseTimes) {
    const name = `lease-${leases++}`;
    const field = { leading: 0, most: 0, handovers: [] as string[] };
    const all: { state: { leads: boolean; ended?: "lost" | "stopped" }; proxy: FaultProxy; stop(): Promise<void> }[] =
      [];
    for (const [who, now] of clocks.entries()) {
      const proxy: FaultProxy = await faultProxy(server);
      const client = kubeClient(server.credentials(proxy.url), { userAgent: `candidate-${who}` });
      const stopping = new AbortController();
      const identity = `candidate-${who}`;
      const state: (typeof all)[number]["state"] = { leads: false };
      const done = leadWithLease({
        client,
        namespace: "lease",
        name,
        identity,
        times,
        now,
        log: keptLog(),
        signal: stopping.signal,
        lead: async (signal) => {
          state.leads = true;
          field.leading++;
          field.most = Math.max(field.most, field.leading);
          field.handovers.push(identity);
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
    const leader = () => until("a leader", () => all.find(({ state }) => state.leads));
    const lease = async () => {
      const path = `/apis/coordination.k8s.io/v1/namespaces/lease/leases/${name}`;
      return (await server.request<Lease>("GET", path)).body;
    };
    /** So many times the lease is written. */
    const renewals = async (count: number) => {
      let last: string | undefined;
      for (let seen = 0; seen <= count; seen++) {
        last = await until("a renewal", async () => {
          const { resourceVersion } = (await lease()).metadata;
          return resourceVersion !== last && resourceVersion;
        });
      }
    };
    return { field, all, leader, lease, renewals };
  }

  const rightClock = () => new Date();
  const shifted = (ms: number) => () => new Date(Date.now() + ms);

  test("who stops hands over at once; clocks that are hours apart do not matter", async () => {
    const clocks = [shifted(-7_200_000), rightClock, shifted(7_200_000)];
    const { field, leader, lease, renewals } = await candidates(clocks, medium);
    const first = await leader();
    // Longer than a lease lasts: nobody takes what is renewed, however old its times look.
    await renewals(1 + medium.lastsMs / medium.retryMs);
    expect(first.state.leads).toBe(true);
    expect(field.handovers).toHaveLength(1);
    await first.stop();
    // given back, or taken by the next one already
    expect((await lease()).spec?.holderIdentity).not.toBe(field.handovers[0]);
    await leader();
    expect(field.most).toBe(1);
  });

  test("a leader whose clock jumps goes on to lead", async () => {
    let stepMs = 0;
    const clock = () => new Date(Date.now() + stepMs);
    const { field, leader, renewals } = await candidates([clock, clock], medium);
    const first = await leader();
    for (stepMs of [3_600_000, -3_600_000]) await renewals(3);
    expect(first.state.leads).toBe(true);
    expect(field.handovers).toHaveLength(1);
  });

  test("a leader in a black hole stops before the next one leads", async () => {
    const { field, leader } = await candidates([rightClock, rightClock], short);
    const first = await leader();
    first.proxy.blackHole();
    await until("the next leader", () => field.handovers.length === 2, { patienceMs: patienceMs.client });
    expect(field.most).toBe(1);
    expect(first.state.ended).toBe("lost");
  });

  test("resets, refusals and a restart of the server that are over in time change nothing", async () => {
    const { field, all, leader, renewals } = await candidates([rightClock, rightClock], long);
    const first = await leader();
    for (const { proxy } of all) proxy.reset();
    await renewals(2);
    let refused = 0;
    first.proxy.answer(() => {
      refused++;
      return { status: 503, reason: "ServiceUnavailable" };
    });
    await until("three refusals", () => refused >= 3);
    first.proxy.heal();
    await renewals(2);
    first.proxy.halfClose();
    await renewals(2);
    expect(first.state.leads).toBe(true);
    expect(field.handovers).toHaveLength(1);
    await server.kill();
    await server.start();
    await leader();
    expect(field.most).toBe(1);
  });
});
