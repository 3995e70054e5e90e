import { expect, test } from "vitest";
import { boundPorts, clientFigures, queueFigures, sessionFigures } from "../../../../src/relay/figures/policy.ts";

const now = 1_800_000_000_000;
const second = now / 1000;
const report = (...lines: string[]) => [`time ${second}`, ...lines, "end", ""].join("\n");

test("an empty queue is reported as empty", () => {
  expect(queueFigures(report("late 0"), now)).toEqual({
    states: { maildrop: 0, incoming: 0, active: 0, deferred: 0, hold: 0 },
    oldestSeconds: 0,
    oldestMovingSeconds: 0,
    lateDestinations: 0,
    destinations: [],
  });
});

test("a queue is told by state, age and destination", () => {
  const text = report(
    "state deferred 12",
    "state active 1",
    `oldest deferred ${second - 7_200}`,
    `oldest active ${second - 5}`,
    "late 2",
    "destination b.test 3",
    "destination A.test 9",
    "destination [192.0.2.1] 1",
  );
  expect(queueFigures(text, now)).toEqual({
    states: { maildrop: 0, incoming: 0, active: 1, deferred: 12, hold: 0 },
    oldestSeconds: 7_200,
    oldestMovingSeconds: 5,
    lateDestinations: 2,
    destinations: [
      { domain: "a.test", messages: 9 },
      { domain: "b.test", messages: 3 },
      { domain: "[192.0.2.1]", messages: 1 },
    ],
  });
});

test("of many destinations the five with most mail are told, and no address is", () => {
  const many = Array.from({ length: 20 }, (_, nth) => `destination d${nth}.test ${nth}`);
  const figures = queueFigures(report(...many, "destination someone@a.test 99", "destination a.test<b> 99"), now);
  expect(figures?.destinations.map(({ domain }) => domain)).toEqual([
    "d19.test",
    "d18.test",
    "d17.test",
    "d16.test",
    "d15.test",
  ]);
});

test.each([
  { when: "there is none", text: undefined },
  { when: "it is empty", text: "" },
  { when: "it is cut off", text: `time ${second}\nstate deferred 1\n` },
  { when: "it is of ten minutes ago", text: `time ${second - 600}\nend\n` },
  { when: "its time is no number", text: "time soon\nend\n" },
])("a report says nothing when $when", ({ text }) => {
  expect(queueFigures(text, now)).toBeUndefined();
  expect(sessionFigures(text, now)).toBeUndefined();
});

test("figures that are no numbers count as none", () => {
  expect(queueFigures(report("state deferred -3", "late NaN", "oldest active soon"), now)).toMatchObject({
    states: { deferred: 0 },
    lateDestinations: 0,
    oldestSeconds: 0,
  });
});

test("a clock that was set back makes no mail older than it is", () => {
  expect(queueFigures(report(`oldest deferred ${second + 60}`), now)?.oldestSeconds).toBe(0);
});

test("sessions are awake or hibernated", () => {
  expect(sessionFigures(report("awake 3", "hibernated 120"), now)).toEqual({ awake: 3, hibernated: 120 });
});

const udp = `   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
   34: 00000000:0D96 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 17034 2 ffff 0
 2034: 0200A8C0:C000 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 17035 2 ffff 0
 2035: 0200A8C0:C003 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 17036 2 ffff 0
`;
const udp6 = `  sl  local_address                         remote_address                        st tx_queue
 2034: 00000000000000000000000001000000:C000 00000000000000000000000000000000:0000 07 00000000:00000000
 2040: 00000000000000000000000001000000:C004 00000000000000000000000000000000:0000 07 00000000:00000000
`;

test("ports for calls that are in use are counted once, and others are not", () => {
  expect(boundPorts([udp, udp6], { first: 49_152, count: 4 })).toBe(2);
  expect(boundPorts([udp, udp6], { first: 49_152, count: 100 })).toBe(3);
  expect(boundPorts([""], { first: 49_152, count: 100 })).toBe(0);
});

test("clients are counted by family, and the address that most come from", () => {
  const clients = ["192.0.2.1", "192.0.2.1", "192.0.2.2", "2001:db8:0:1::/64"];
  expect(clientFigures(clients)).toEqual({
    ipv4: { accounts: 3, fromOneAddress: 2 },
    ipv6: { accounts: 1, fromOneAddress: 1 },
  });
  expect(clientFigures([]).ipv4).toEqual({ accounts: 0, fromOneAddress: 0 });
});
