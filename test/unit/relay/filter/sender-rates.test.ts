import { readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { SenderRates } from "../../../../src/relay/filter/sender-rates.ts";
import { until } from "../../../helpers/until.ts";
import { collectingLog, limits, settings } from "../settings.ts";

const alice = "alice1234@chat.example";
const bob = "bob123456@chat.example";
const rate = { perMinute: 60, burst: 3 };

let now: number;
let config: ReturnType<typeof settings>;
let log: ReturnType<typeof collectingLog>;
beforeEach(() => {
  now = 1_000_000;
  config = settings({ domains: { "chat.example": limits({ sendRatePerMinute: 60, sendBurst: 3 }) } });
  log = collectingLog();
});

const path = () => join(config.mailFolder, ".rates.json");
const open = (over = {}) => SenderRates.open({ config, log: log.log, now: () => now, ...over });
const named = () => Object.keys(JSON.parse(readFileSync(path(), "utf8")).fullAt);

/** Takes turns until there is none; how many there were, and when there is one again. */
function takeAll(rates: SenderRates, address = alice) {
  for (let turns = 0; ; turns++) {
    const next = rates.take(address, rate);
    if (next) return { turns, next: next.getTime() };
  }
}

test("a restart gives nobody a fresh burst", async () => {
  const before = await open();
  expect(takeAll(before)).toEqual({ turns: 3, next: now + 1000 });
  expect(before.take(bob, rate)).toBeUndefined();
  await before.close();
  now += 500;
  const after = await open();
  expect(takeAll(after)).toEqual({ turns: 0, next: now + 500 });
  expect(takeAll(after, bob)).toMatchObject({ turns: 2 });
  expect(log.lines).toEqual([]);
});

test("a turn that is back is not kept, and nothing is written for it", async () => {
  const rates = await open();
  rates.take(alice, rate);
  now += 1000;
  await rates.close();
  expect(statSync(path(), { throwIfNoEntry: false })).toBeUndefined();
});

test("after a crash too, and whoever may send as ever is not named for long", async () => {
  const rates = await open({ writeAfterMs: 0 });
  takeAll(rates);
  await until("the file", () => named().includes(alice));
  now += 10_000;
  await until("an empty one", () => named().length === 0);
  await rates.close();
});

test("names that an earlier one has left go too", async () => {
  const crashed = await open();
  takeAll(crashed);
  await crashed.close();
  now += 10_000;
  const rates = await open({ writeAfterMs: 0 });
  await until("an empty file", () => named().length === 0);
  await rates.close();
});

test.each([
  "",
  "{",
  "[]",
  "null",
  '{"version":2,"fullAt":{}}',
  `{"version":1,"fullAt":{"${alice}":"soon"}}`,
  `{"version":1,"fullAt":{"${alice}":1e999}}`,
  `{"version":1,"fullAt":{"${alice}":1`,
])("a file with %j is started anew, and said without what is in it", async (text) => {
  writeFileSync(path(), text);
  expect(takeAll(await open())).toMatchObject({ turns: 3 });
  expect(log.lines.join()).toContain("unreadable");
  expect(log.lines.join()).not.toContain("alice");
});

test("a clock that was set back locks nobody out for longer than the limit could", async () => {
  const before = await open();
  takeAll(before);
  await before.close();
  now = 5_000;
  const after = await open();
  expect(takeAll(after)).toEqual({ turns: 0, next: now + 1000 });
  now += 1000;
  expect(after.take(alice, rate)).toBeUndefined();
  await after.close();
});

test("nor does it keep a name in the file", async () => {
  writeFileSync(path(), `{"version":1,"fullAt":{"${alice}":1e15}}`);
  const rates = await open({ writeAfterMs: 0 });
  now += 3000;
  await until("an empty file", () => named().length === 0);
  await rates.close();
});

test("the file is bounded: who waits longest is in it", async () => {
  const rates = await open({ size: 2 });
  rates.take("carol1234@chat.example", rate);
  takeAll(rates);
  takeAll(rates, bob);
  await rates.close();
  expect(named()).toEqual([alice, bob]);
});

test("a volume that takes nothing is said, and stops nothing", async () => {
  const rates = await open();
  takeAll(rates);
  rmSync(config.mailFolder, { recursive: true });
  await rates.close();
  expect(log.lines.join()).toContain("not written");
  expect(log.lines.join()).not.toContain("alice");
});
