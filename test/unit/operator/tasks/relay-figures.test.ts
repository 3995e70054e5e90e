import { expect, test } from "vitest";
import {
  clientsLevel,
  figuresAreAlike,
  lateDomains,
  queueLevel,
  storageLevel,
} from "../../../../src/operator/tasks/relay-figures.ts";

const storage = (free: number, freeInodes = 1_000, inodes = 1_000) => ({
  storage: { bytes: 1_000, freeBytes: free, inodes, freeInodes },
});

test.each([
  { what: storage(500), level: "fine" },
  { what: storage(200), level: "fine" },
  { what: storage(199), level: "between" },
  { what: storage(150), level: "between" },
  { what: storage(149), level: "alarm" },
  { what: storage(0), level: "alarm" },
  { what: storage(900, 100), level: "alarm" },
  { what: storage(900, 0, 0), level: "fine" },
  { what: storage(100, 0, 0), level: "alarm" },
  { what: {}, level: undefined },
  { what: { storage: { bytes: 0, freeBytes: 0, inodes: 0, freeInodes: 0 } }, level: undefined },
])("a volume with $what is $level", ({ what, level }) => {
  expect(storageLevel(what)).toBe(level);
});

const queue = (oldestMovingSeconds: number, lateDestinations = 0, accounts = 0) => ({
  queue: { oldestMovingSeconds, lateDestinations, destinations: [] },
  accounts: { "a.test": { all: accounts } },
});

test.each([
  { what: queue(0), level: "fine" },
  { what: queue(599), level: "fine" },
  { what: queue(600), level: "between" },
  { what: queue(1_800), level: "alarm" },
  { what: queue(0, 2), level: "fine" },
  { what: queue(0, 3), level: "between" },
  { what: queue(0, 5), level: "alarm" },
  { what: queue(0, 5, 10_000), level: "fine" },
  { what: queue(0, 50, 10_000), level: "alarm" },
  { what: {}, level: undefined },
])("a queue with $what is $level", ({ what, level }) => {
  expect(queueLevel(what)).toBe(level);
});

test("a relay with more accounts has more domains on any day that are away", () => {
  expect(lateDomains(0)).toEqual({ alarm: 5, fine: 3 });
  expect(lateDomains(100_000)).toEqual({ alarm: 500, fine: 250 });
});

const clients = (v4: [number, number], v6: [number, number] = [0, 0]) => ({
  clients: {
    ipv4: { accounts: v4[0], fromOneAddress: v4[1] },
    ipv6: { accounts: v6[0], fromOneAddress: v6[1] },
  },
});

test.each([
  { what: clients([19, 19]), level: undefined },
  { what: clients([20, 20]), level: "alarm" },
  { what: clients([20, 18]), level: "alarm" },
  { what: clients([20, 17]), level: "between" },
  { what: clients([20, 10]), level: "fine" },
  { what: clients([100, 2], [100, 95]), level: "alarm" },
  { what: clients([10, 10], [10, 10]), level: undefined },
  { what: {}, level: undefined },
])("clients $what are $level", ({ what, level }) => {
  expect(clientsLevel(what)).toBe(level);
});

const accounts = (all: number) => ({ accounts: { "a.test": { all } } });

test.each([
  { before: {}, now: {}, alike: true },
  { before: storage(500), now: storage(300), alike: true },
  { before: storage(500), now: storage(190), alike: false },
  { before: storage(190), now: storage(160), alike: true },
  { before: {}, now: storage(500), alike: false },
  { before: queue(0, 5), now: queue(0, 9), alike: true },
  { before: clients([100, 95]), now: clients([100, 30]), alike: false },
  { before: accounts(0), now: accounts(1), alike: false },
  { before: accounts(100), now: accounts(105), alike: true },
  { before: accounts(100), now: accounts(106), alike: false },
  { before: accounts(100), now: accounts(94), alike: false },
  { before: { version: "1.0.0" }, now: { version: "1.0.1" }, alike: false },
])("$before and $now are alike: $alike", ({ before, now, alike }) => {
  expect(figuresAreAlike(before, now)).toBe(alike);
});
