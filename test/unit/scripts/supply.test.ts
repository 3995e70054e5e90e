/** What comes from elsewhere: licences of what the images hold, pins of what builds them. */
import { globSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { bundledPackages } from "../../../scripts/build.ts";
import { licenceTexts, type Package } from "../../../scripts/licences.ts";

const root = resolve(import.meta.dirname, "../../..");
const textOf = (path: string) => readFileSync(join(root, path), "utf8");

describe("packages in the images", () => {
  let packages: Package[];
  beforeAll(async () => {
    packages = await bundledPackages();
  });

  test("have licences that go with Apache-2.0", () => {
    const fine = ["MIT", "Apache-2.0", "ISC", "BSD-2-Clause", "BSD-3-Clause", "0BSD"];
    expect(packages.length).toBeGreaterThan(20);
    expect(packages.filter(({ licence }) => !fine.includes(licence))).toEqual([]);
  });

  test("bring the text of their licence, and it is in the file for the images", () => {
    expect(packages.filter(({ text }) => text.length < 200).map(({ name }) => name)).toEqual([]);
    const all = licenceTexts(packages);
    expect(packages.filter(({ text }) => !all.includes(text))).toEqual([]);
  });

  test("are named with exact versions in package.json", () => {
    const { dependencies, devDependencies } = JSON.parse(textOf("package.json")) as Record<
      "dependencies" | "devDependencies",
      Record<string, string>
    >;
    const loose = Object.entries({ ...dependencies, ...devDependencies }).filter(
      ([, at]) => !/^\d+\.\d+\.\d+$/.test(at),
    );
    expect(loose).toEqual([]);
  });
});

test("both images have the file, and keep Debian's", () => {
  const dockerfile = textOf("Dockerfile");
  expect(dockerfile.match(/^COPY dist\/licences\.txt /gm)).toHaveLength(2);
  expect(dockerfile).toContain("path-include=/usr/share/doc/*/copyright");
});

test("actions are pinned by digest, with their version beside it", () => {
  const workflows = globSync(".github/workflows/*.yml", { cwd: root });
  const uses = workflows.flatMap((file) => textOf(file).match(/\buses: .*$/gm) ?? []);
  expect(uses.length).toBeGreaterThan(0);
  expect(uses.filter((line) => !/@[0-9a-f]{40} # v\d+\.\d+\.\d+$/.test(line))).toEqual([]);
});

test("the base image is pinned by digest", () => {
  expect(textOf("Dockerfile")).toMatch(/^ARG BASE=debian:trixie-slim@sha256:[0-9a-f]{64}$/m);
});
