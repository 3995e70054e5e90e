/** The arrows between the rooms of src/: imports run downwards only, and within a room there are no circles. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { expect, test } from "vitest";

const source = resolve(import.meta.dirname, "../../src");

/** For each room, the rooms it may use. Type imports count. */
const mayUse: Record<string, readonly string[]> = {
  lib: [],
  api: ["lib"],
  mail: ["api", "lib"],
  dns: ["mail", "api", "lib"],
  certificates: ["mail", "api", "lib"],
  dkim: ["lib"],
  kube: ["lib"],
  operator: ["kube", "certificates", "dns", "mail", "api", "lib"],
  relay: ["certificates", "dns", "dkim", "mail", "api", "lib"],
  cli: ["operator", "relay", "kube", "certificates", "dns", "dkim", "mail", "api", "lib"],
  main: ["operator", "relay", "kube", "certificates", "dns", "dkim", "mail", "api", "lib"],
};

interface Import {
  from: string;
  to: string;
}

const files = readdirSync(source, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));

const imports: Import[] = files.flatMap((from) => {
  const text = readFileSync(join(source, from), "utf8");
  const specifiers = [...text.matchAll(/\b(?:from|import)\s*\(?\s*["'](\.[^"']+)["']/g)].map(
    (match) => match[1] as string,
  );
  return specifiers.map((to) => ({ from, to: relative(source, resolve(source, dirname(from), to)) }));
});

const roomOf = (file: string) => file.split("/")[0] as string;

test("every file has a room", () => {
  expect(files.map(roomOf).filter((room) => !(room in mayUse))).toEqual([]);
});

test("imports between rooms run downwards", () => {
  const wrong = imports.filter(({ from, to }) => {
    const [here, there] = [roomOf(from), roomOf(to)];
    return here !== there && !mayUse[here]?.includes(there);
  });
  expect(wrong.map(({ from, to }) => `${from} → ${to}`)).toEqual([]);
});

test("no file imports itself by way of others", () => {
  const next = Map.groupBy(imports, (each) => each.from);
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (file: string, path: readonly string[]) => {
    const at = path.indexOf(file);
    if (at >= 0) circles.push([...path.slice(at), file].join(" → "));
    if (at >= 0 || done.has(file)) return;
    for (const { to } of next.get(file) ?? []) visit(to, [...path, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
  expect(circles).toEqual([]);
});

test("no room has an index.ts that re-exports", () => {
  expect(files.filter((file) => file.endsWith("index.ts"))).toEqual([]);
});
