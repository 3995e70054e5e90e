import { expect, test } from "vitest";
import {
  isLeft,
  next,
  nothingRemembered,
  type Order,
  type OrderEvent,
  type OrderMemory,
  type OrderTask,
  resumed,
  storedOf,
} from "../../../../src/certificates/acme/order.ts";

const now = new Date("2026-11-29T12:00:00Z");
const later = (minutes: number) => new Date(now.getTime() + minutes * 60_000).toISOString();
const names = ["nine.example.org", "www.nine.example.org", "mta-sts.nine.example.org"];
const [domain = "", ...optional] = names;
const url = "https://acme.example/order/1";
const certificate = "https://acme.example/certificate/1";
const memory = nothingRemembered;
const since = now.toISOString();
const wanted: OrderEvent = { is: "wanted", domain, optional };
const saw = (status: "pending" | "ready" | "processing" | "valid" | "invalid", more = {}): OrderEvent => ({
  is: "seen",
  status,
  url,
  ...more,
});
const refusal = (type: string, more: Partial<Extract<OrderEvent, { is: "refused" }>> = {}): OrderEvent => ({
  is: "refused",
  type,
  says: "no",
  names: [],
  ...more,
});
const failedOnce = (minutes: number, says = "no"): OrderMemory => ({
  failures: 1,
  retryTime: later(minutes),
  lastError: says,
  left: {},
});
const idle: Order = { is: "Idle", memory };
const creating: Order = { is: "Creating", names, memory };
const authorizing: Order = { is: "Authorizing", names, url, memory };
const validating: Order = { is: "Validating", names, url, since, memory };
const finalizing: Order = { is: "Finalizing", names, url, memory };
const issuing: Order = { is: "Issuing", names, url, since, memory };
const downloading: Order = { is: "Downloading", names, url, certificate, memory };
const tooOld = later(-16);

const rows: { when: string; order: Order; event: OrderEvent; after: Order; task?: OrderTask }[] = [
  { when: "a certificate is wanted", order: idle, event: wanted, after: creating, task: { do: "create", names } },
  {
    when: "one is wanted too early after a failure",
    order: { ...idle, memory: failedOnce(1) },
    event: wanted,
    after: { ...idle, memory: failedOnce(1) },
    task: { do: "wait", until: later(1) },
  },
  {
    when: "one is wanted and a name was refused a short time ago",
    order: { ...idle, memory: { failures: 0, left: { [optional[1] ?? ""]: { until: later(1), says: "no" } } } },
    event: wanted,
    after: {
      is: "Creating",
      names: names.slice(0, 2),
      memory: { failures: 0, left: { [optional[1] ?? ""]: { until: later(1), says: "no" } } },
    },
    task: { do: "create", names: names.slice(0, 2) },
  },
  {
    when: "one is wanted and an order is there already",
    order: { ...finalizing, memory: failedOnce(-1) },
    event: wanted,
    after: { ...authorizing, memory: failedOnce(-1) },
    task: { do: "look", url, afterMs: 0 },
  },
  {
    when: "it was created",
    order: creating,
    event: saw("pending"),
    after: authorizing,
    task: { do: "authorize", url, names },
  },
  {
    when: "it was created and the names are known",
    order: creating,
    event: saw("ready"),
    after: finalizing,
    task: { do: "finalize", url, names },
  },
  {
    when: "the authority looks",
    order: authorizing,
    event: { is: "answered" },
    after: validating,
    task: { do: "look", url, afterMs: 1_000 },
  },
  {
    when: "it still looks, and says when to come back",
    order: validating,
    event: saw("pending", { retryAfterMs: 5_000 }),
    after: validating,
    task: { do: "look", url, afterMs: 5_000 },
  },
  {
    when: "it looks for too long",
    order: { ...validating, since: tooOld },
    event: saw("pending"),
    after: { is: "Idle", memory: failedOnce(3, "the authority has not validated the names in time") },
    task: { do: "wait", until: later(3) },
  },
  {
    when: "all is validated",
    order: validating,
    event: saw("ready"),
    after: finalizing,
    task: { do: "finalize", url, names },
  },
  {
    when: "the certificate is being made",
    order: finalizing,
    event: saw("processing"),
    after: issuing,
    task: { do: "look", url, afterMs: 2_000 },
  },
  {
    when: "it is made for too long",
    order: { ...issuing, since: tooOld },
    event: saw("processing"),
    after: { is: "Idle", memory: failedOnce(3, "the authority has not issued the certificate in time") },
    task: { do: "wait", until: later(3) },
  },
  {
    when: "the certificate is there",
    order: issuing,
    event: saw("valid", { certificate }),
    after: downloading,
    task: { do: "download", url, certificate },
  },
  {
    when: "it is there and nowhere",
    order: issuing,
    event: saw("valid"),
    after: { is: "Idle", memory: failedOnce(3, "the order is valid and has no certificate") },
    task: { do: "wait", until: later(3) },
  },
  {
    when: "the order is invalid",
    order: validating,
    event: saw("invalid"),
    after: validating,
    task: { do: "explain", url },
  },
  { when: "the certificate is stored", order: downloading, event: { is: "stored" }, after: idle },
  { when: "an answer comes that nobody waits for", order: idle, event: saw("ready"), after: idle },
  { when: "the authority looks at nothing", order: idle, event: { is: "answered" }, after: idle },
  {
    when: "the domain is refused",
    order: validating,
    event: refusal("unauthorized", {
      names: [
        { name: domain, says: "404" },
        { name: optional[0] ?? "", says: "x" },
      ],
    }),
    after: { is: "Idle", memory: failedOnce(3, "404") },
    task: { do: "wait", until: later(3) },
  },
  {
    when: "only mta-sts is refused",
    order: validating,
    event: refusal("dns", { names: [{ name: optional[1] ?? "", says: "no such name" }] }),
    after: {
      is: "Idle",
      memory: { failures: 0, left: { [optional[1] ?? ""]: { until: later(24 * 60), says: "no such name" } } },
    },
  },
  {
    when: "the authority has had too many",
    order: creating,
    event: refusal("rateLimited", { retryAfterMs: 3_600_000 }),
    after: { is: "Idle", memory: failedOnce(60) },
    task: { do: "wait", until: later(60) },
  },
  {
    when: "it can't be reached half way",
    order: issuing,
    event: refusal("unreachable"),
    after: { ...issuing, memory: failedOnce(0.5) },
    task: { do: "wait", until: later(0.5) },
  },
  {
    when: "it wants another kind of key",
    order: finalizing,
    event: refusal("badCSR"),
    after: { is: "Idle", memory: failedOnce(3) },
    task: { do: "wait", until: later(3) },
  },
];

test.each(rows)("$order.is becomes $after.is when $when", ({ order, event, after, task }) => {
  expect(next(order, event, now)).toEqual({ order: after, ...(task && { task }) });
});

test("failures are further and further apart, up to six hours", () => {
  let order: Order = creating;
  const waits: number[] = [];
  for (let nth = 0; nth < 10; nth++) {
    const step = next({ ...order, is: "Creating", names }, refusal("unauthorized"), now);
    order = step.order;
    waits.push((Date.parse(order.memory.retryTime ?? "") - now.getTime()) / 60_000);
  }
  expect(waits).toEqual([3, 6, 12, 24, 48, 96, 192, 360, 360, 360]);
  // what Let's Encrypt allows in an hour for each name
  expect(waits.slice(0, 4).reduce((sum, wait) => sum + wait)).toBeLessThan(60);
  expect(waits.slice(0, 5).reduce((sum, wait) => sum + wait)).toBeGreaterThan(60);
});

test("what outlives the process goes on where it was, and nothing else is remembered of a finished one", () => {
  for (const order of [authorizing, validating, finalizing, issuing, downloading])
    expect(resumed(storedOf(order))).toEqual(authorizing);
  expect(resumed(storedOf(creating))).toEqual(idle);
  expect(storedOf(idle)).toEqual({ memory });
});

test("a name that was refused is ordered again a day later", () => {
  const left = { failures: 0, left: { www: { until: later(1), says: "no" } } };
  expect([isLeft(left, "www", now), isLeft(left, "other", now)]).toEqual([true, false]);
  expect(isLeft(left, "www", new Date(now.getTime() + 61_000))).toBe(false);
});
