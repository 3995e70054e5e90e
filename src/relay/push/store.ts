/**
 * Pushes that have not reached the push service yet, one file each beside the mailboxes, so that a
 * restart forgets none (chatmail protocol §14).
 */
import { randomBytes } from "node:crypto";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { namesIn, readIfThere } from "../files.ts";
import { type Pending, parsePending, pendingText } from "./policy.ts";

/** The name has no @, so it is never taken for a mailbox. */
const folderName = "pending_notifications";

export interface StoredPush {
  path: string;
  pending: Pending;
}

/** Not synced: what a power cut takes is a push, and the message is there. */
export async function storePush(domainFolder: string, pending: Pending): Promise<StoredPush> {
  const folder = join(domainFolder, folderName);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, randomBytes(16).toString("hex"));
  await writeFile(`${path}.tmp`, pendingText(pending), { mode: 0o600 });
  await rename(`${path}.tmp`, path);
  return { path, pending };
}

export async function forgetPush(stored: StoredPush): Promise<void> {
  await rm(stored.path, { force: true });
}

/**
 * Deletes all that waits. Without push nobody would ever send it, and it names addresses and
 * tokens.
 */
export async function forgetAllPushes(domainFolder: string): Promise<void> {
  await rm(join(domainFolder, folderName), { recursive: true, force: true });
}

/**
 * What is left from before. Files that a crash left half made, or that are not ours, are deleted
 * and counted.
 */
export async function leftPushes(domainFolder: string): Promise<{ stored: StoredPush[]; spurious: number }> {
  const folder = join(domainFolder, folderName);
  const stored: StoredPush[] = [];
  let spurious = 0;
  for (const name of await namesIn(folder)) {
    const path = join(folder, name);
    const pending = name.endsWith(".tmp") ? undefined : parsePending((await readIfThere(path)) ?? "");
    if (pending) stored.push({ path, pending });
    else {
      await rm(path, { recursive: true, force: true });
      spurious++;
    }
  }
  return { stored, spurious };
}
