/** What decides whether an image is built again, beside what it is made from. */
import { readFileSync } from "node:fs";
import { matchesGlob } from "node:path";
import { expect, test } from "vitest";
import { bundles } from "../../../scripts/build.ts";
import { inside } from "../../../scripts/images.ts";

test.each(["operator", "relay"] as const)("the %s image is known by all bundles that are copied into it", (target) => {
  const [, stage = ""] =
    new RegExp(`^FROM node AS ${target}\\n([^]*?)(?:^FROM |(?![^]))`, "m").exec(readFileSync("Dockerfile", "utf8")) ??
    [];
  const globs = [...stage.matchAll(/dist\/(\S+\.js)\*/g)].map(([, glob = ""]) => glob);
  const copied = Object.keys(bundles).filter((name) => globs.some((glob) => matchesGlob(`${name}.js`, glob)));
  expect(copied).not.toEqual([]);
  expect(new Set<string>(inside[target])).toEqual(new Set(copied));
});
