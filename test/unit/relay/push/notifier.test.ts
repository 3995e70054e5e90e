/**
 * The queue itself, with a clock that the test turns; the HTTPS part has a test of its own among
 * the services.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { localAddress } from "../../../../src/relay/domains.ts";
import { TokenStore } from "../../../../src/relay/metadata/tokens.ts";
import { Metrics } from "../../../../src/relay/metrics.ts";
import { Notifier } from "../../../../src/relay/push/notifier.ts";
import { until } from "../../../helpers/until.ts";
import { collectingLog, settings } from "../settings.ts";

const user = "abcdefghi@chat.example";
let config: ReturnType<typeof settings>;
let log: ReturnType<typeof collectingLog>;
let tokens: TokenStore;
let metrics: Metrics;
let notifier: Notifier;
let folder: string;
let answers: Record<string, number[]>;
let posted: string[];
let held: (() => void)[] | undefined;

const now = () => Date.now();
const account = () => localAddress(config, user) ?? expect.unreachable();
const files = () => readdirSync(folder).sort();
const seconds = (count: number) => vi.advanceTimersByTimeAsync(count * 1000);

function newNotifier() {
  notifier = new Notifier({
    config,
    domains: Object.keys(config.domains),
    tokens,
    log: log.log,
    metrics,
    now,
    post: async (token) => {
      posted.push(token);
      if (held) await new Promise<void>((resolve) => held?.push(resolve));
      const status = answers[token]?.shift() ?? 200;
      if (status === 0) throw new Error("no answer");
      return status;
    },
  });
  return notifier;
}

const soon = (what: string, condition: () => boolean) => until(what, condition, { everyMs: 1 });
const atRest = () => soon("nothing to do", () => notifier.pending === 0 && files().length === 0);
const tried = (count: number) => soon(`${count} tries`, () => posted.length === count);
/** The try has failed and the next is planned. */
const failed = (count: number) =>
  soon(`${count} failed tries`, () => metrics.text().includes(`push_tries_total{outcome="retry"} ${count}\n`));

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"], now: 1_795_000_000_000 });
  config = settings();
  log = collectingLog();
  metrics = new Metrics();
  tokens = new TokenStore({ log: log.log, now });
  folder = join(config.mailFolder, "chat.example", "pending_notifications");
  mkdirSync(join(config.mailFolder, "chat.example", user), { recursive: true });
  answers = {};
  posted = [];
  held = undefined;
  await tokens.add(account(), "one");
  newNotifier();
});
afterEach(async () => {
  for (const go of held ?? []) go();
  await notifier.stop();
  vi.useRealTimers();
});

test("each of the address's tokens is posted once, and nothing is left behind", async () => {
  await tokens.add(account(), "two");
  await notifier.messageCame("ABCdefghi@chat.example");
  await atRest();
  expect(posted.sort()).toEqual(["one", "two"]);
  expect(metrics.text()).toContain('push_tries_total{outcome="sent"} 2');
});

test("an address without tokens, one that is not there and one of elsewhere cost nothing", async () => {
  for (const address of ["nobody123@chat.example", "a@elsewhere.example", ""]) await notifier.messageCame(address);
  expect(posted).toEqual([]);
});

test("tried again after 8, 64, 512 and 4096 s, then given up; the log says so without the token", async () => {
  answers.one = [500, 0, 503, 429, 408];
  await notifier.messageCame(user);
  await failed(1);
  for (const [index, wait] of [8, 64, 512, 4096].entries()) {
    expect(files()).toHaveLength(1);
    await seconds(wait - 1);
    expect(posted).toHaveLength(index + 1);
    await seconds(1);
    await failed(index + 2);
  }
  await atRest();
  expect(posted).toHaveLength(5);
  expect(log.lines.join("")).toContain("push notification expired");
  expect(log.lines.join("")).not.toMatch(/abcdefghi|"one"/);
});

test.each([410, 400, 404])("%s: the token goes, the others stay", async (status) => {
  await tokens.add(account(), "two");
  answers.one = [status];
  await notifier.messageCame(user);
  await atRest();
  expect(await tokens.list(account())).toEqual(["two"]);
});

test("what was not sent is on the volume as three lines, and is tried at once by the next daemon", async () => {
  answers.one = [500];
  await notifier.messageCame(user);
  await failed(1);
  await notifier.stop();
  const [name = ""] = files();
  expect(name).toMatch(/^[0-9a-f]{32}$/);
  expect(readFileSync(join(folder, name), "utf8")).toBe(`${user}\n1795000000\none`);
  await newNotifier().start();
  await atRest();
  expect(posted).toEqual(["one", "one"]);
});

test("a start clears what a crash left half made, what is not ours, and what is too late", async () => {
  mkdirSync(folder);
  writeFileSync(join(folder, "0123.tmp"), `${user}\n1795000000\none`);
  writeFileSync(join(folder, "4567"), "what is this");
  writeFileSync(join(folder, "89ab"), `${user}\n1794900000\none`);
  await notifier.start();
  await atRest();
  expect(posted).toEqual([]);
  expect(log.lines.join("")).toContain("spurious");
});

test("many messages at once are one push: the first wakes the device for all that came before it began", async () => {
  held = [];
  for (let count = 0; count < 20; count++) await notifier.messageCame(user);
  await tried(1);
  expect(files()).toHaveLength(2);
  const [first] = held;
  held = undefined;
  first?.();
  await atRest();
  expect(posted).toEqual(["one", "one"]);
});

test("a new message does not wait for the next try of an earlier one", async () => {
  answers.one = [500, 200];
  await notifier.messageCame(user);
  await failed(1);
  await notifier.messageCame(user);
  await atRest();
  expect(posted).toHaveLength(2);
  await seconds(10_000);
  expect(posted).toHaveLength(2);
});

test("of those that failed, two at the same time and no more", async () => {
  for (let count = 0; count < 4; count++) await tokens.add(account(), `more${count}`);
  for (const token of await tokens.list(account())) answers[token] = [500];
  await notifier.messageCame(user);
  await failed(5);
  held = [];
  await seconds(8);
  await tried(7);
  expect(notifier.pending).toBe(5);
  // a new message does not wait behind them
  await tokens.add(account(), "fresh");
  await notifier.messageCame(user);
  await soon("the new one's tries", () => posted.includes("fresh"));
  const waiting = held;
  held = undefined;
  for (const go of waiting) go();
  await atRest();
});

test("four first tries at the same time and no more", async () => {
  for (let count = 0; count < 9; count++) await tokens.add(account(), `more${count}`);
  held = [];
  await notifier.messageCame(user);
  await tried(4);
  expect(notifier.pending).toBe(10);
  const waiting = held;
  held = undefined;
  for (const go of waiting) go();
  await atRest();
  expect(posted).toHaveLength(10);
});

/** An account with so many tokens; a token is named after it. */
async function withTokens(name: string, count: number): Promise<string> {
  const address = `${name}@chat.example`;
  mkdirSync(join(config.mailFolder, "chat.example", address), { recursive: true });
  const local = localAddress(config, address) ?? expect.unreachable();
  for (let nth = 0; nth < count; nth++) await tokens.add(local, `${name}-${nth}`);
  return address;
}

test("an account that has had nothing waiting does not wait behind those with many", async () => {
  const busy = await Promise.all(Array.from({ length: 8 }, (_, nth) => withTokens(`busybusy${nth}`, 10)));
  held = [];
  for (const address of busy) await notifier.messageCame(address);
  await tried(4);
  for (let nth = 0; nth < 8; nth++) {
    held.shift()?.();
    await tried(5 + nth);
  }
  await notifier.messageCame(user);
  held.shift()?.();
  await tried(13);
  expect(posted.at(-1)).toBe("one");
});

test("no more pushes wait for an account than it may have devices, whatever tokens it had; the oldest go", async () => {
  held = [];
  for (let round = 0; round < 5; round++) {
    const address = await withTokens("changing1", 0);
    const local = localAddress(config, address) ?? expect.unreachable();
    for (let nth = 0; nth < 10; nth++) await tokens.add(local, `round${round}-${nth}`);
    await notifier.messageCame(address);
  }
  expect(notifier.pending).toBe(14);
  expect(files()).toHaveLength(14);
  expect(metrics.text()).toContain("push_dropped_total 36");
  const waiting = held;
  held = undefined;
  for (const go of waiting) go();
  await atRest();
  expect(posted.slice(4)).toEqual(Array.from({ length: 10 }, (_, nth) => `round4-${nth}`));
});

test("what waits is bounded in bytes: the account with most loses its oldest, and one with little keeps its own", async () => {
  held = [];
  const long = "x".repeat(4000);
  // 250 accounts with 10 tokens of 4,000 bytes are 10 MB
  for (let nth = 0; nth < 250; nth++) {
    const address = await withTokens(`flooder${String(nth).padStart(2, "0")}`, 0);
    const local = localAddress(config, address) ?? expect.unreachable();
    await Promise.all(Array.from({ length: 10 }, (_, each) => tokens.add(local, `${long}${nth}-${each}`)));
    if (nth === 100) await notifier.messageCame(user);
    await notifier.messageCame(address);
  }
  expect(notifier.pending).toBeLessThan(2 ** 23 / 4000 + 4);
  expect(notifier.pending).toBeGreaterThan(1500);
  expect(files().length).toBe(notifier.pending);
  const waiting = held;
  held = [];
  for (const go of waiting) go();
  await soon("the small account's push", () => {
    held?.shift()?.();
    return posted.includes("one");
  });
});

test("a restart takes up no more than that", async () => {
  const own = join(folder);
  mkdirSync(own, { recursive: true });
  for (let nth = 0; nth < 30; nth++)
    writeFileSync(join(own, String(nth).padStart(32, "0")), `${user}\n1795000000\nold-${nth}`);
  held = [];
  await notifier.start();
  expect(notifier.pending).toBe(14);
  expect(files()).toHaveLength(14);
});
