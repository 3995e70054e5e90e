/**
 * The arrows between the rooms of src/: imports run downwards only, and within a room there are no
 * circles.
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { expect, test } from "vitest";

const source = resolve(import.meta.dirname, "../../src");

/**
 * For each room, the rooms it may use. Type imports count. A room that is named with its folder
 * holds more strictly than the rest of that folder.
 */
const mayUse: Record<string, readonly string[]> = {
  lib: [],
  api: ["lib"],
  mail: ["api", "lib"],
  dns: ["dkim", "mail", "api", "lib"],
  certificates: ["mail", "api", "lib"],
  pod: ["mail", "api", "lib"],
  dkim: ["lib"],
  kube: ["lib"],
  backup: ["pod", "mail", "lib"],
  operator: ["kube", "certificates", "dns", "pod", "mail", "api", "lib"],
  relay: ["certificates", "dns", "dkim", "pod", "mail", "api", "lib"],
  "relay/wire": ["lib"],
  "relay/https": ["lib"],
  /** From is an address as this project has them. */
  "relay/mime": ["mail", "lib"],
  cli: ["operator", "relay", "backup", "kube", "certificates", "dns", "dkim", "pod", "mail", "api", "lib"],
  // ..: the version of package.json
  main: [
    "..",
    "cli",
    "operator",
    "relay",
    "backup",
    "kube",
    "certificates",
    "dns",
    "dkim",
    "pod",
    "mail",
    "api",
    "lib",
  ],
};

/** The same for the rooms of the relay, of each other. */
const mayUseInRelay: Record<string, readonly string[]> = {
  wire: [],
  mime: [],
  https: [],
  /** Files beside the rooms: files, domains, events, metrics, rate … */
  tools: [],
  certificate: ["tools"],
  closing: ["wire", "tools"],
  invites: ["tools"],
  probe: ["tools"],
  accounts: ["invites", "tools"],
  expire: ["accounts", "metadata", "tools"],
  users: ["accounts", "tools"],
  import: ["accounts", "metadata", "tools"],
  move: ["tools"],
  mailbox: ["accounts", "expire", "wire", "tools"],
  filter: ["accounts", "mailbox", "mime", "probe", "wire", "tools"],
  order: [],
  metadata: ["accounts", "wire", "tools"],
  push: ["metadata", "https", "tools"],
  quota: ["wire", "tools"],
  route: ["https", "wire", "tools"],
  deliver: ["route", "https", "wire", "tools"],
  receive: ["accounts", "wire", "tools"],
  auth: ["accounts", "probe", "wire", "tools"],
  web: ["accounts", "invites", "wire", "tools"],
  figures: ["accounts", "tools"],
  health: ["probe", "certificate", "figures", "wire", "tools"],
  plan: ["tools"],
};

/** They open everything and know everybody; nobody in the relay imports them. */
const wiring = ["relay/daemon.ts", "relay/open-routes.ts"];

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

const roomOf = (file: string) => {
  const [top = "", next = ""] = file.split("/");
  return `${top}/${next}` in mayUse ? `${top}/${next}` : top;
};

const roomInRelay = (file: string) => /^relay\/([^/]+)\//.exec(file)?.[1] ?? "tools";

test("every file has a room", () => {
  expect(files.map(roomOf).filter((room) => !(room in mayUse))).toEqual([]);
  expect(
    files
      .filter(inRelay)
      .map(roomInRelay)
      .filter((room) => !(room in mayUseInRelay)),
  ).toEqual([]);
});

/** Arrows from one room to another of the same table, but for those it allows. */
function wrongArrows(arrows: readonly Import[], room: (file: string) => string, table: typeof mayUse): string[] {
  const wrong = arrows.filter(({ from, to }) => room(from) !== room(to) && !table[room(from)]?.includes(room(to)));
  return wrong.map(({ from, to }) => `${from} → ${to}`);
}

const inRelay = (file: string) => file.startsWith("relay/");

test("imports between rooms run downwards", () => {
  const between = imports.filter(({ from, to }) => !(inRelay(from) && inRelay(to)));
  expect(wrongArrows(between, roomOf, mayUse)).toEqual([]);
});

test("imports between the rooms of the relay run downwards", () => {
  const within = imports.filter(({ from, to }) => inRelay(from) && inRelay(to) && !wiring.includes(from));
  expect(wrongArrows(within, roomInRelay, mayUseInRelay)).toEqual([]);
  expect(within.filter(({ to }) => wiring.includes(to))).toEqual([]);
});

test("the tables have no circle and no room that is gone", () => {
  const rooms = new Set(files.flatMap((file) => [roomOf(file), ...(inRelay(file) ? [roomInRelay(file)] : [])]));
  for (const table of [mayUse, mayUseInRelay]) {
    const left = new Map(Object.entries(table));
    for (;;) {
      const free = [...left].filter(([, uses]) => !uses.some((each) => left.has(each)));
      if (free.length === 0) break;
      for (const [room] of free) left.delete(room);
    }
    expect([...left.keys()]).toEqual([]);
    expect(Object.keys(table).filter((room) => !rooms.has(room))).toEqual([]);
  }
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

/** With `import { z }` all of zod is in the bundle, its messages in 50 languages too. */
test("zod is imported as a namespace", () => {
  const bringsAll = (file: string) =>
    /^import \{[^}]*\bz\b.*from "zod"/m.test(readFileSync(join(source, file), "utf8"));
  expect(files.filter(bringsAll)).toEqual([]);
});
