/**
 * No test measures time: on a busy machine it would fail for no fault of ours. What a test can
 * prove is an order or a count ("the mail arrived while the silent connection was still open"); how
 * long something takes is a figure of `npm run bench`. The few exceptions say why.
 */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "..");
const sources = new Map(
  globSync("{unit,services,cluster,pages}/**/*.test.ts", { cwd: root })
    .filter((file) => !file.endsWith("timed-assertions.test.ts"))
    .map((file) => [file, readFileSync(join(root, file), "utf8")]),
);

/**
 * A machine may stand still for some seconds; a whole test has more than that by vitest.config.ts.
 */
const leastPatienceMs = 10_000;
const leastTestMs = 180_000;

const numberIn = (line: string, pattern: RegExp) => Number(pattern.exec(line)?.[1]?.replaceAll("_", "") ?? Infinity);

const rules: Record<string, (line: string) => boolean> = {
  "measures time": (line) =>
    /\bperformance\.now\(|\bhrtime\b|Date\.now\(\) - [a-z]|expect\(.*(Ms|[sS]econds|took)\b.*\)\.toBeLess/.test(line),
  "waits for a time": (line) => /\bawait (sleep|wait)\(|\bsetTimeout\(resolve\b|=> sleep\(/.test(line),
  "has little patience": (line) =>
    numberIn(line, /\bpatienceMs: ([\d_]+)\b(?! \*)/) < leastPatienceMs ||
    numberIn(line, /^\s*\}, (\d{2,3}_000)\);$/) < leastTestMs,
};

const printed = "it is printed; nothing is asserted of it";
const lowerBound = "it is a lower bound: a slow machine only takes longer";
const notAnAssertion = "that long a fault lasts, or an answer takes; nothing is asserted of it";

/** By rule and file: how many lines, and why no slow machine can fail them. */
const allowed: Record<string, Record<string, { lines: number; why: string }>> = {
  "measures time": {
    "cluster/rollback.test.ts": { lines: 2, why: printed },
    "services/alerts-fire.test.ts": { lines: 2, why: printed },
    "services/operator-cert-manager.test.ts": {
      lines: 1,
      why: "a clock that is put forward; nothing is asserted of it",
    },
    "unit/kube/lease.test.ts": { lines: 2, why: lowerBound },
    "unit/relay/receive/receive.test.ts": { lines: 2, why: lowerBound },
  },
  "waits for a time": {
    "cluster/operator.test.ts": { lines: 1, why: "nothing is written meanwhile: a slow machine writes less" },
    "services/first-logins.test.ts": { lines: 1, why: notAnAssertion },
    "services/kube-faults.test.ts": { lines: 6, why: notAnAssertion },
    "unit/kube/queue.test.ts": { lines: 1, why: notAnAssertion },
    "unit/relay/wire/conversation.test.ts": { lines: 2, why: notAnAssertion },
    "unit/relay/wire/socketmap.test.ts": { lines: 1, why: notAnAssertion },
  },
  "has little patience": {
    "unit/kube/client-node.test.ts": { lines: 2, why: "somebody else's client does nothing meanwhile, however slow" },
    "unit/relay/order/order.test.ts": { lines: 1, why: "of the code under test, by a clock of the test's own" },
  },
};

describe.each(Object.entries(rules))("no test %s", (rule, matches) => {
  test("beyond the exceptions", () => {
    const exceptions = allowed[rule] ?? {};
    const found = [...new Set([...sources.keys(), ...Object.keys(exceptions)])].flatMap((file) => {
      const lines = (sources.get(file) ?? "").split("\n");
      const hits = lines.flatMap((line, at) => (matches(line) ? [`${at + 1}: ${line.trim()}`] : []));
      return hits.length === (exceptions[file]?.lines ?? 0) ? [] : [[file, hits] as const];
    });
    expect(Object.fromEntries(found), "test an order or a count, or measure under bench/").toEqual({});
  });
});

test.each([
  { rule: "measures time", line: "  const start = performance.now();" },
  { rule: "measures time", line: "  expect(tookMs).toBeLessThan(500);" },
  { rule: "measures time", line: "  expect(Date.now() - start).toBeLessThan(500);" },
  { rule: "waits for a time", line: "  await sleep(500);" },
  { rule: "waits for a time", line: "  await new Promise((resolve) => setTimeout(resolve, 500));" },
  { rule: "has little patience", line: '  await until("it", () => it, { patienceMs: 1_000 });' },
  { rule: "has little patience", line: "}, 60_000);" },
])("$line: $rule", ({ rule, line }) => expect(rules[rule]?.(line)).toBe(true));

test.each([
  '  await until("it", () => it, { patienceMs: patienceMs.client, everyMs: 100 });',
  "  const patience = { patienceMs: 2 * patienceMs.mail, everyMs: 200 };",
  "  expect(pause(40)).toBeLessThanOrEqual(backOff.mostMs * 1.5);",
  "  vi.useFakeTimers({ now: Date.now() });",
  "}, 300_000);",
])("%s is no timed assertion", (line) => {
  expect(Object.values(rules).filter((matches) => matches(line))).toEqual([]);
});
