/**
 * A backup becomes a volume again. Everything is written beside what will be used, and moved into
 * place when it is complete, so a restore that is interrupted leaves nothing half done: the next
 * one starts from the beginning, or goes on moving.
 */
import { randomUUID } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdir, readdir, rename, rm, utimes } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { ifThere } from "../lib/if-there.ts";
import { Pool } from "../lib/pool.ts";
import { syncToDisk } from "../lib/sync-to-disk.ts";
import { mailDomainOf } from "../mail/address.ts";
import { type Manifest, type OpenArchive, openArchive } from "./archive.ts";
import { BackupProblem } from "./problem.ts";

export interface Restored {
  manifest: Manifest;
  accounts: number;
  files: number;
}

/** Names in the mail folder that are no domains. */
const unfinished = ".restoring";
const complete = ".restored";
/** A file system writes several files together in a fraction of the time of one after the other. */
const syncsAtOnce = 32;

/**
 * The mail part of a backup, decrypted, into a mail folder that has no accounts yet. Throws
 * BackupProblem where it has, or where the backup is damaged, or is of another domain than the one
 * given; nothing is restored then. `beside`: others may restore at the same time, and a process
 * that waits (`moveIntoPlace`) moves the first one that is complete.
 */
export async function restoreMail(
  stream: ReadableStream<Uint8Array>,
  mailFolder: string,
  { domain, beside = false }: { domain?: string | undefined; beside?: boolean } = {},
): Promise<Restored> {
  const { manifest, entries } = await openArchive(stream, domain);
  if (await namesIn(join(mailFolder, complete))) {
    await stream.cancel().catch(() => undefined);
    throw new BackupProblem("an earlier restore is complete and has to be moved into place first");
  }
  const there = await domainsIn(mailFolder);
  if (there.length > 0)
    throw new BackupProblem(
      `the volume has accounts of ${there.join(", ")} already: a backup is restored into a new volume only`,
    );
  if (!beside) await forgetUnfinished(mailFolder);
  const folder = join(mailFolder, beside ? `${unfinished}-${randomUUID()}` : unfinished);
  try {
    return await restoreInto(folder, mailFolder, { manifest, entries, beside });
  } catch (thrown) {
    if (beside) await rm(folder, { recursive: true, force: true });
    throw thrown;
  }
}

async function restoreInto(
  folder: string,
  mailFolder: string,
  { manifest, entries, beside }: OpenArchive & { beside: boolean },
): Promise<Restored> {
  const accounts = new Set<string>();
  let files = 0;
  const onDisk = new Pool(syncsAtOnce);
  for await (const { name, modified, body } of entries) {
    const [kind, domain = "", address = "", ...rest] = name.split("/");
    if (kind !== "mail") {
      await body.cancel();
      continue;
    }
    if (rest.length === 0 || mailDomainOf(address) !== domain)
      throw new BackupProblem(`this backup holds ${JSON.stringify(name)}, which is no account's: it is damaged`);
    const path = join(folder, domain, address, ...rest);
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await pipeline(Readable.fromWeb(body as never), createWriteStream(path, { mode: 0o600 }));
    await utimes(path, modified, modified);
    await onDisk.start(() => syncToDisk(path));
    accounts.add(address);
    files++;
  }
  await onDisk.idle();
  await mkdir(folder, { recursive: true, mode: 0o700 });
  // from here on the restore has happened: what is left is to move it
  await rename(folder, join(mailFolder, complete));
  await syncToDisk(mailFolder);
  if (!beside) await moveIntoPlace(mailFolder);
  return { manifest, accounts: accounts.size, files };
}

/** What interrupted restores have left. Nobody may be restoring. */
export async function forgetUnfinished(mailFolder: string): Promise<void> {
  const left = ((await namesIn(mailFolder)) ?? []).filter((name) => name.startsWith(unfinished));
  for (const name of left) await rm(join(mailFolder, name), { recursive: true, force: true });
}

export const hasAccounts = async (mailFolder: string): Promise<boolean> => (await domainsIn(mailFolder)).length > 0;

/** What a complete restore has not moved yet; true where there was one. */
export async function moveIntoPlace(mailFolder: string): Promise<boolean> {
  const folder = join(mailFolder, complete);
  const domains = await namesIn(folder);
  if (!domains) return false;
  for (const domain of domains) await rename(join(folder, domain), join(mailFolder, domain));
  await rm(folder, { recursive: true });
  await syncToDisk(mailFolder);
  return true;
}

const domainsIn = async (mailFolder: string) =>
  ((await namesIn(mailFolder)) ?? []).filter((name) => !name.startsWith(".") && name !== "lost+found");

const namesIn = (folder: string) => ifThere(() => readdir(folder));
