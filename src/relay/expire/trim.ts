/** Makes room in one mailbox while Dovecot uses it: the quota warning's work. */
import { readdir, rm, unlink } from "node:fs/promises";
import { join } from "node:path";
import { ifThere } from "../../lib/if-there.ts";
import type { LocalAddress } from "../domains.ts";
import { namesToTrim, trimTargetBytes } from "./policy.ts";

/** How many messages of the INBOX were deleted. */
export async function trimMailbox(account: LocalAddress, nowMs: number): Promise<number> {
  const messages = (await Promise.all([listed(account.home, "cur"), listed(account.home, "new")])).flat();
  let removed = 0;
  for (const { path } of namesToTrim(messages, trimTargetBytes(account.limits), nowMs)) {
    if (await removeIfThere(path)) removed++;
  }
  if (removed > 0) await rm(join(account.home, "maildirsize"), { force: true });
  return removed;
}

async function listed(home: string, folder: "cur" | "new"): Promise<{ name: string; path: string }[]> {
  const names = (await ifThere(() => readdir(join(home, folder)))) ?? [];
  return names.map((name) => ({ name, path: join(home, folder, name) }));
}

/** False where the client has deleted or renamed it meanwhile. */
async function removeIfThere(path: string): Promise<boolean> {
  const removed = await ifThere(() => unlink(path).then(() => true));
  return removed ?? false;
}
