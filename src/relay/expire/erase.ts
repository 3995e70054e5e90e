/**
 * Deletes all mail of a volume and leaves its accounts: what is done when a server is deleted whose
 * identity is kept (`reclaimPolicy: RetainIdentity`). Nothing else uses the volume meanwhile. It
 * may be stopped at any point and run again.
 */
import { type Dirent, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { ifThereSync } from "../../lib/if-there.ts";
import { flagFiles } from "../accounts/flags.ts";
import { passwordName } from "../accounts/store.ts";
import { tokensName } from "../metadata/tokens.ts";

export interface ErasedCounts {
  accounts: number;
  files: number;
  failures: number;
}

export const nothingErased = (): ErasedCounts => ({ accounts: 0, files: 0, failures: 0 });

/**
 * What makes an account: whoever has its password finds it as it was, without mail. The times of
 * these files, among them the day of the last login, stay.
 */
const kept: readonly string[] = [passwordName, tokensName, ...flagFiles];

/**
 * All domains that the folder holds, also those that are no longer served. `cur` stays where it is,
 * empty: a folder with it and without a password is an address that an administrator has blocked.
 */
export function eraseMail(mailFolder: string, counts: ErasedCounts): void {
  for (const domain of foldersIn(mailFolder)) {
    for (const name of foldersIn(join(mailFolder, domain)).filter((each) => each.includes("@"))) {
      const home = join(mailFolder, domain, name);
      counts.accounts++;
      emptyFolder(join(home, "cur"), counts);
      for (const each of namesIn(home)) if (each !== "cur" && !kept.includes(each)) remove(join(home, each), counts);
    }
  }
}

/** Where Postfix has messages, and what it noted of their delivery. */
const queueFolders = ["maildrop", "incoming", "active", "deferred", "hold", "corrupt", "bounce", "defer", "trace"];

export function eraseQueue(queueFolder: string, counts: ErasedCounts): void {
  for (const each of queueFolders) emptyFolder(join(queueFolder, each), counts);
}

function emptyFolder(folder: string, counts: ErasedCounts): void {
  for (const name of namesIn(folder)) remove(join(folder, name), counts);
}

/** A file, or a folder with all that is in it. */
function remove(path: string, counts: ErasedCounts): void {
  try {
    const isFile = !statSync(path, { throwIfNoEntry: false })?.isDirectory();
    const within = isFile ? 1 : readdirSync(path, { recursive: true, withFileTypes: true }).filter(isNoFolder).length;
    rmSync(path, { recursive: true, force: true });
    counts.files += within;
  } catch {
    counts.failures++;
  }
}

const isNoFolder = (entry: Dirent) => !entry.isDirectory();

const namesIn = (folder: string) => entriesIn(folder).map(({ name }) => name);
/** Not links, which may lead out of the volume. */
const foldersIn = (folder: string) =>
  entriesIn(folder)
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);

const entriesIn = (folder: string): Dirent[] => ifThereSync(() => readdirSync(folder, { withFileTypes: true })) ?? [];
