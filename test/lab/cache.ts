/**
 * Things that take long to make, kept by the hash of what goes in.
 * An entry is made in a temporary folder and renamed, so a half-made one is never found.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { cacheDir } from "./place.ts";

/**
 * Entries that nobody has used for so long are removed when a newer one of the same name is made.
 */
const unusedDays = 14;
/**
 * So many entries of other keys stay: somebody may be going back and forth between two branches.
 */
const keptOthers = 2;
const dayMs = 86_400_000;

/** Short hash of values and files (given as `{ file }`), in order. */
export function contentKey(parts: readonly (string | { file: string })[]): string {
  const hash = createHash("sha256");
  for (const part of parts) {
    const bytes = typeof part === "string" ? Buffer.from(part) : readFileSync(part.file);
    hash.update(`${bytes.length}\n`).update(bytes);
  }
  return hash.digest("hex").slice(0, 16);
}

/** Where the entry is, whether it exists or not. */
export const cachePath = (name: string, key: string) => join(cacheDir, `${name}-${key}`);

/** Full log of the last making of something; kept when it fails. */
export function buildLog(name: string): string {
  const file = join(cacheDir, "log", `${name}.log`);
  rmSync(file, { force: true });
  return file;
}

/** True when the entry was made before. */
export const isCached = (name: string, key: string) => existsSync(cachePath(name, key));

/** The folder of this entry; `make` fills it the first time. */
export async function cached(name: string, key: string, make: (dir: string) => Promise<void>): Promise<string> {
  const path = cachePath(name, key);
  if (!existsSync(path)) {
    mkdirSync(cacheDir, { recursive: true });
    const draft = `${path}.draft-${process.pid}`;
    rmSync(draft, { recursive: true, force: true });
    mkdirSync(draft);
    try {
      await make(draft);
      if (existsSync(path)) rmSync(draft, { recursive: true });
      else renameSync(draft, path);
    } catch (cause) {
      rmSync(draft, { recursive: true, force: true });
      throw cause;
    }
    prune(name, path);
  }
  const now = new Date();
  utimesSync(path, now, now);
  return path;
}

/**
 * Which entries may go: same name, another key, and neither recent nor lately used; drafts whose
 * maker is dead. Pure.
 */
export function superseded(
  entries: readonly { file: string; usedAt: number }[],
  name: string,
  keep: string,
  at: { now: number; alive: (pid: number) => boolean },
): string[] {
  const own = new RegExp(`^${name}-[0-9a-f]{16}(?:\\.draft-(\\d+))?$`);
  const makerOf = (file: string) => own.exec(file)?.[1];
  const others = entries.filter(({ file }) => own.test(file) && file !== keep);
  const drafts = others.filter(({ file }) => makerOf(file) !== undefined);
  const older = others.filter(({ file }) => makerOf(file) === undefined).sort((a, b) => b.usedAt - a.usedAt);
  return [
    ...drafts.filter(({ file }) => !at.alive(Number(makerOf(file)))),
    ...older.filter(({ usedAt }, rank) => rank >= keptOthers || at.now - usedAt > unusedDays * dayMs),
  ].map(({ file }) => file);
}

function prune(name: string, keepPath: string) {
  const entries = readdirSync(cacheDir).flatMap((file) => {
    const found = statSync(join(cacheDir, file), { throwIfNoEntry: false });
    return found ? [{ file, usedAt: found.mtimeMs }] : [];
  });
  const alive = (pid: number) => existsSync(`/proc/${pid}`);
  const keep = keepPath.slice(cacheDir.length + 1);
  for (const file of superseded(entries, name, keep, { now: Date.now(), alive })) {
    try {
      rmSync(join(cacheDir, file), { recursive: true, force: true });
    } catch {
      // file systems are mounted in the draft of one that was killed: it goes when they have gone
    }
  }
}
