import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Admission } from "../../../../src/relay/receive/admission.ts";

const limits = { running: 4, runningEach: 2, waiting: 6, waitingEach: 3, waitingBytes: 1000, patienceMs: 30_000 };
const staying = new AbortController().signal;
let admission: Admission;
/** Who has begun or was refused, in this order: "a1", "-a2". */
let seen: string[];
let ends: Map<string, () => void>;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  admission = new Admission(limits);
  seen = [];
  ends = new Map();
});
afterEach(() => void vi.useRealTimers());

/** A request named by its client and a number. */
function ask(name: string, { bytes = 10, signal = staying } = {}) {
  void admission.take({ client: name[0] ?? "", bytes, signal }).then((end) => {
    seen.push(end ? name : `-${name}`);
    if (end) ends.set(name, end);
  });
}
const settled = () => vi.advanceTimersByTimeAsync(0);
async function after(...names: string[]): Promise<string[]> {
  seen = [];
  for (const name of names) ends.get(name)?.();
  await settled();
  return seen;
}
async function asked(...names: string[]): Promise<string[]> {
  seen = [];
  for (const name of names) ask(name);
  await settled();
  return seen;
}

test("one client has some turns, and all have some", async () => {
  expect(await asked("a1", "a2", "a3", "b1", "b2", "c1")).toEqual(["a1", "a2", "b1", "b2"]);
  expect(await after("b1")).toEqual(["c1"]);
  expect(await after("a1")).toEqual(["a3"]);
  expect(admission.running).toBe(4);
  expect(admission.waiting).toBe(0);
});

test("turns go round by client, in the order of arrival for one client", async () => {
  await asked("x1", "x2", "y1", "y2", "a1", "a2", "a3", "b1", "b2", "c1");
  expect(await after("x1", "x2", "y1", "y2")).toEqual(["a1", "b1", "c1", "a2"]);
  expect(await after("c1")).toEqual(["b2"]);
  expect(await after("a1")).toEqual(["a3"]);
});

test("ending a turn twice frees one", async () => {
  await asked("a1", "a2", "b1", "b2", "c1", "c2");
  expect(await after("a1", "a1")).toEqual(["c1"]);
  expect(admission.running).toBe(4);
});

test("more than a client may have waiting are refused at once", async () => {
  expect(await asked("a1", "a2", "a3", "a4", "a5", "a6")).toEqual(["a1", "a2", "-a6"]);
});

test("where no more may wait, a newcomer takes the place of the newest of who has most", async () => {
  await asked("x1", "x2", "y1", "y2");
  expect(await asked("a1", "a2", "a3", "b1", "b2", "b3")).toEqual([]);
  expect(await asked("c1")).toEqual(["-a3"]);
  expect(await asked("d1")).toEqual(["-b3"]);
  // as many as anybody else has
  expect(await asked("d2")).toEqual(["-d2"]);
  expect(admission.waiting).toBe(6);
  expect(await after("x1", "x2", "y1", "y2")).toEqual(["a1", "b1", "c1", "d1"]);
});

test("what waits holds a bounded number of bytes; who holds most is refused first", async () => {
  await asked("x1", "x2", "y1", "y2");
  ask("a1", { bytes: 400 });
  ask("a2", { bytes: 400 });
  ask("b1", { bytes: 300 });
  await settled();
  expect(seen).toContain("-a2");
  seen = [];
  ask("c1", { bytes: 1001 });
  ask("a3", { bytes: 400 });
  await settled();
  expect(seen).toEqual(["-c1", "-a3"]);
  expect(admission.waiting).toBe(2);
});

test("who has waited too long, or is gone, gets no turn and takes no room", async () => {
  await asked("x1", "x2", "y1", "y2");
  const leaving = new AbortController();
  seen = [];
  ask("a1", { signal: leaving.signal });
  ask("b1");
  leaving.abort();
  await settled();
  expect(seen).toEqual(["-a1"]);
  await vi.advanceTimersByTimeAsync(30_000);
  expect(seen).toEqual(["-a1", "-b1"]);
  expect(admission.waiting).toBe(0);
  ask("c1", { signal: leaving.signal });
  await settled();
  expect(seen.at(-1)).toBe("-c1");
  expect(await after("x1")).toEqual([]);
  expect(admission.running).toBe(3);
});

test("whatever comes in whatever order, the bounds hold and nobody is forgotten", async () => {
  let seed = 7;
  const random = (below: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((seed / 2 ** 31) * below);
  };
  let count = 0;
  for (let round = 0; round < 2000; round++) {
    if (random(3) > 0) ask(`${"abcdef"[random(6)]}${count++}`, { bytes: random(400) });
    else {
      const [name] = [...ends.keys()].slice(random(ends.size));
      if (name !== undefined) ends.get(name)?.();
      if (name !== undefined) ends.delete(name);
    }
    await settled();
    expect(admission.running).toBe(ends.size);
    expect(admission.running).toBeLessThanOrEqual(limits.running);
    expect(admission.waiting).toBeLessThanOrEqual(limits.waiting);
    const byClient = new Map<string, number>();
    for (const name of ends.keys()) byClient.set(name[0] ?? "", (byClient.get(name[0] ?? "") ?? 0) + 1);
    expect(Math.max(0, ...byClient.values())).toBeLessThanOrEqual(limits.runningEach);
  }
  while (ends.size > 0) {
    for (const [name, end] of [...ends]) {
      ends.delete(name);
      end();
    }
    await settled();
  }
  expect(admission.waiting).toBe(0);
  expect(seen.length).toBe(count);
});
