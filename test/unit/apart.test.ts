/**
 * Files of the services suite run at the same time, on one machine: an address on which one of them
 * listens at a well-known port is no other's.
 */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const folder = join(import.meta.dirname, "..", "services");
const files = globSync("**/*.test.ts", { cwd: folder }).map(
  (file) => [file, readFileSync(join(folder, file), "utf8")] as const,
);

test("an address of the loopback beyond the usual ones is of one file", () => {
  const users = new Map<string, Set<string>>();
  for (const [file, text] of files)
    for (const [address] of text.matchAll(/\b127\.0\.[1-9]\d*\.\d+/g))
      users.set(address, (users.get(address) ?? new Set()).add(file));
  expect(users.size).toBeGreaterThan(20);
  const shared = [...users].filter(([, by]) => by.size > 1).map(([address, by]) => `${address}: ${[...by].join(", ")}`);
  expect(shared).toEqual([]);
});

test("nobody listens at a well-known port of the lab's own address: ownAddress() gives another", () => {
  const lines = files.flatMap(([file, text]) => text.split("\n").map((line) => `${file}: ${line.trim()}`));
  expect(lines.filter((line) => /addresses\.gateway\b/.test(line) && /\bports\.|port: \d/.test(line))).toEqual([]);
});
