/** Leader election between real loops over a lease that is kept as an API server keeps it. */
import { afterEach, expect, test } from "vitest";
import { type LeaseTimes, leadWithLease } from "../../../src/kube/lease.ts";
import {
  type Answer,
  type FakeApiServer,
  fakeApiServer,
  keptLog,
  statusAnswer,
} from "../../helpers/fake-api-server.ts";
import { until } from "../../helpers/until.ts";

/** Nothing ends by itself in them: a machine that stands still for a second changes nothing. */
const long: LeaseTimes = { lastsMs: 60_000, renewWithinMs: 40_000, retryMs: 20 };
/** Where a call has to end. */
const medium: LeaseTimes = { lastsMs: 6_000, renewWithinMs: 3_000, retryMs: 50 };
/** Where a lease has to end. */
const short: LeaseTimes = { lastsMs: 1_000, renewWithinMs: 600, retryMs: 50 };

interface StoredLease {
  metadata: { resourceVersion: string };
  spec: { holderIdentity: string; leaseTransitions: number; renewTime: string; leaseDurationSeconds: number };
}

let server: FakeApiServer;
const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await Promise.all(stops.splice(0).map((stop) => stop()));
  await server.close();
});

/** One lease with optimistic locking; `broken` makes every call fail. */
async function leaseServer() {
  const state: {
    lease: StoredLease | undefined;
    broken: boolean;
    /** Whose writes fail. */
    brokenFor?: string;
    renewals: number;
    onRenewal?: () => void;
    /** Gets what would answer the creation, which is written already. */
    holdCreation?: (answer: () => void) => void;
  } = {
    lease: undefined,
    broken: false,
    renewals: 0,
  };
  let version = 0;
  server = await fakeApiServer(({ method, body }): Answer => {
    if (state.broken) return statusAnswer(500, "InternalError", "broken");
    const sent = body as StoredLease;
    if (state.brokenFor !== undefined && sent?.spec.holderIdentity === state.brokenFor)
      return statusAnswer(500, "InternalError", "broken");
    const store = () => {
      state.lease = { ...sent, metadata: { ...sent.metadata, resourceVersion: String(++version) } };
      return { json: state.lease };
    };
    if (method === "POST" && state.lease) return statusAnswer(409, "AlreadyExists", "exists");
    if (method === "POST") {
      const made = store();
      const { holdCreation } = state;
      if (!holdCreation) return made;
      return (stream) =>
        holdCreation(() => {
          stream.raw(JSON.stringify(made.json));
          stream.end();
        });
    }
    if (method === "PUT" && sent.spec.holderIdentity !== "") {
      state.renewals++;
      // what is stored and not answered: the writer does not know
      queueMicrotask(() => state.onRenewal?.());
    }
    if (method === "PUT")
      return sent.metadata.resourceVersion === state.lease?.metadata.resourceVersion
        ? store()
        : statusAnswer(409, "Conflict", "old");
    return state.lease ? { json: state.lease } : statusAnswer(404, "NotFound", "no lease");
  });
  return state;
}

/** `deaf`: its work goes on after its signal, until `led.end`. */
function candidate(identity: string, options: { deaf?: boolean; times?: LeaseTimes; onLead?: () => void } = {}) {
  const stopping = new AbortController();
  const led = { now: false, times: 0, end: () => {} };
  const done = leadWithLease({
    client: server.client,
    namespace: "a",
    name: "operator",
    identity,
    times: options.times ?? long,
    log: keptLog(),
    signal: stopping.signal,
    lead: async (signal) => {
      led.now = true;
      led.times++;
      options.onLead?.();
      await new Promise<void>((resolve) => {
        led.end = resolve;
        if (options.deaf) return;
        if (signal.aborted) resolve();
        else signal.addEventListener("abort", () => resolve());
      });
      led.now = false;
    },
  });
  const stop = () => {
    stopping.abort();
    return done;
  };
  stops.push(stop);
  return { led, done, stop };
}

const count = (method: string) => server.requests.filter((request) => request.method === method).length;
/** So many more reads of the lease: candidates have had their turns. */
async function reads(more: number): Promise<void> {
  const before = count("GET");
  await until(`${more} reads`, () => count("GET") >= before + more);
}

test("one leads, the other takes over at once when the first gives the lease back", async () => {
  const state = await leaseServer();
  const first = candidate("first");
  await until("a leader", () => first.led.now);
  const second = candidate("second");
  await reads(3);
  expect(second.led.now).toBe(false);
  expect(await first.stop()).toBe("stopped");
  expect(state.lease?.spec.holderIdentity).not.toBe("first");
  // long before the lease of the first would have ended
  await until("the second", () => second.led.now);
  expect(state.lease?.spec).toMatchObject({ holderIdentity: "second", leaseTransitions: 1 });
});

test("a holder that is gone is waited for as long as its lease lasts, by our own clock", async () => {
  const state = await leaseServer();
  const longAgo = "2001-01-01T00:00:00.000000Z";
  state.lease = {
    metadata: { resourceVersion: "0" },
    spec: { holderIdentity: "gone", leaseTransitions: 3, renewTime: longAgo, leaseDurationSeconds: 1 },
  };
  const startedAt = performance.now();
  const next = candidate("next");
  await until("the next", () => next.led.now);
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(1_000 - 20);
  expect(state.lease?.spec.leaseTransitions).toBe(4);
});

test("a leader that can't renew stops before another may begin", async () => {
  const state = await leaseServer();
  const first = candidate("first", { times: short });
  await until("a leader", () => first.led.now);
  let both: boolean | undefined;
  const second = candidate("second", {
    times: short,
    onLead: () => {
      both = first.led.now;
    },
  });
  state.brokenFor = "first";
  expect(await first.done).toBe("lost");
  await until("the second", () => second.led.now);
  expect(both).toBe(false);
});

test("a short failure is ridden out", async () => {
  const state = await leaseServer();
  const first = candidate("first");
  await until("a leader", () => first.led.now);
  state.broken = true;
  const failed = server.requests.length;
  await until("three failures", () => server.requests.length >= failed + 3);
  state.broken = false;
  const { renewals } = state;
  await until("renewals again", () => state.renewals > renewals + 1);
  expect(first.led).toMatchObject({ now: true, times: 1 });
});

test("of many candidates exactly one leads", async () => {
  await leaseServer();
  const all = Array.from({ length: 8 }, (_, nth) => candidate(`c${nth}`));
  await until("a leader", () => all.some(({ led }) => led.now));
  await reads(5 * all.length);
  expect(all.filter(({ led }) => led.now)).toHaveLength(1);
});

test("who leads writes without reading first; a lease that somebody else wrote is read again", async () => {
  const state = await leaseServer();
  const first = candidate("first");
  await until("a leader", () => first.led.now);
  const before = count("GET");
  await until("three renewals", () => count("PUT") >= 3);
  expect(count("GET")).toBe(before);
  // An annotation, say.
  if (state.lease) state.lease = { ...state.lease, metadata: { ...state.lease.metadata, resourceVersion: "900" } };
  await until("a read", () => count("GET") > before);
  const renewals = count("PUT");
  await until("renewals again", () => count("PUT") > renewals + 1);
  expect(first.led).toMatchObject({ now: true, times: 1 });
});

test("a lease that was taken away ends the work", async () => {
  const state = await leaseServer();
  const first = candidate("first");
  await until("a leader", () => first.led.now);
  if (state.lease)
    state.lease = {
      metadata: { ...state.lease.metadata, resourceVersion: "900" },
      spec: { ...state.lease.spec, holderIdentity: "thief" },
    };
  expect(await first.done).toBe("lost");
  expect(state.lease?.spec.holderIdentity).toBe("thief");
});

test("who stops in the middle of a renewal gives the lease back all the same", async () => {
  const state = await leaseServer();
  const one = candidate("one");
  await until("a renewal that is written and not answered yet", () => {
    if (state.lease?.metadata.resourceVersion === undefined) return false;
    state.onRenewal ??= () => void one.stop();
    return state.renewals > 0;
  });
  await one.done;
  expect(state.lease?.spec.holderIdentity).toBe("");
});

test("who stops in the middle of taking the lease gives it back too", async () => {
  const state = await leaseServer();
  state.lease = {
    metadata: { resourceVersion: "0" },
    spec: {
      holderIdentity: "",
      leaseTransitions: 3,
      renewTime: "2026-01-01T00:00:00.000000Z",
      leaseDurationSeconds: 1,
    },
  };
  const one = candidate("one");
  state.onRenewal = () => void one.stop();
  expect(await one.done).toBe("stopped");
  expect([state.renewals, state.lease?.spec.holderIdentity]).toEqual([1, ""]);
});

test("who hears late that the lease is theirs does not lead by what others have outwaited since", async () => {
  const state = await leaseServer();
  let answer = () => {};
  state.holdCreation = (late) => {
    answer = late;
  };
  const first = candidate("first", { times: medium });
  await until("the lease", () => state.lease !== undefined);
  const second = candidate("second", { times: medium });
  await until("a leader", () => first.led.now || second.led.now);
  answer();
  await until("the first", () => first.led.times === 1);
  expect([first.led.now, second.led.now]).toEqual([true, false]);
});

test("work that does not end when the lease is lost is left behind before another may lead", async () => {
  const state = await leaseServer();
  const first = candidate("first", { deaf: true, times: short });
  await until("a leader", () => first.led.now);
  state.broken = true;
  expect(await first.done).toBe("lost");
  expect(first.led.now).toBe(true);
  first.led.end();
});

test("who stops renews until the work in hand has ended, so that nobody else begins meanwhile", async () => {
  const state = await leaseServer();
  const first = candidate("first", { deaf: true });
  await until("a leader", () => first.led.now);
  const stopped = first.stop();
  const { renewals } = state;
  await until("renewals to go on", () => state.renewals > renewals + 1);
  first.led.end();
  expect(await stopped).toBe("stopped");
  expect(state.lease?.spec.holderIdentity).toBe("");
});
