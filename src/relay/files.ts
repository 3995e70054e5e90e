/** Small files that must never be seen half written. */
import { randomBytes } from "node:crypto";
import { statSync } from "node:fs";
import { link, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ifThere } from "../lib/if-there.ts";
import { syncToDisk } from "../lib/sync-to-disk.ts";
import { codeOf } from "../lib/text.ts";

/** The file's text; undefined where there is no such file. */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (thrown) {
    if (codeOf(thrown) === "ENOENT" || codeOf(thrown) === "ENOTDIR") return undefined;
    throw thrown;
  }
}

/**
 * Size of a file in bytes; undefined where there is none. Asked at once, once or twice for each
 * mail: in a folder that is in use it takes microseconds, a turn of the thread pool twenty times as
 * much (decision 0011).
 */
export function sizeIfThere(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.size;
}

/** Writes to a temporary name, syncs, and renames over `path`. */
export async function replaceFile(path: string, text: string | Uint8Array): Promise<void> {
  await placeFile(path, text, rename);
}

/**
 * As replaceFile, but only where `path` does not exist yet, also against other processes; false
 * where it does.
 */
export async function createFile(path: string, text: string): Promise<boolean> {
  try {
    await placeFile(path, text, link);
    return true;
  } catch (thrown) {
    if (codeOf(thrown) === "EEXIST") return false;
    throw thrown;
  }
}

/**
 * A new file, which survives a power cut under this name once its folder is synced, too. Rejects
 * where it exists.
 */
export async function writeSynced(
  path: string,
  content: string | Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  modifiedMs?: number,
): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    await file.writeFile(content);
    if (modifiedMs !== undefined) await file.utimes(modifiedMs / 1000, modifiedMs / 1000);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function placeFile(
  path: string,
  text: string | Uint8Array,
  place: (from: string, to: string) => Promise<void>,
): Promise<void> {
  const temporary = join(dirname(path), `.${randomBytes(8).toString("hex")}.tmp`);
  try {
    await writeSynced(temporary, text);
    await place(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
  await syncToDisk(dirname(path));
}

/** Names of what is in a folder; none where there is no such folder. */
export const namesIn = async (folder: string): Promise<string[]> => (await ifThere(() => readdir(folder))) ?? [];
