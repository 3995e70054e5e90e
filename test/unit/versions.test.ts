import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

type Manifest = Record<string, unknown>;
const read = (path: string) => JSON.parse(readFileSync(path, "utf8")) as Manifest;
const groups = ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies"];

test.each(["package.json", "test/package.json"])("%s names one version of each dependency", (path) => {
  const manifest = read(path);
  const all = groups.flatMap((group) => Object.entries((manifest[group] ?? {}) as Record<string, string>));
  expect(all.length).toBeGreaterThan(0);
  expect(all.filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([]);
});

test("every package of the lock file has a digest", () => {
  const { packages } = read("package-lock.json") as {
    packages: Record<string, { integrity?: string; link?: boolean }>;
  };
  const fetched = Object.entries(packages).filter(([path, { link }]) => path.includes("node_modules/") && !link);
  expect(fetched.filter(([, { integrity }]) => !integrity).map(([path]) => path)).toEqual([]);
});
