/** What of a relay goes into a backup, read from the folders that the pod mounts. */
import { type FileHandle, open, readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { ifThere } from "../lib/if-there.ts";
import { mailDomainOf } from "../mail/address.ts";
import { domainFile } from "../pod/layout.ts";
import type { ArchiveEntry, Manifest } from "./archive.ts";

/**
 * Where a kind of identity is mounted: a folder with one for each domain, with files in it.
 * `domain`: the files are in the folder itself, and are that domain's.
 */
export interface IdentityFolder {
  kind: string;
  folder: string;
  domain?: string | undefined;
}

export interface Sources {
  /** DOMAIN/ADDRESS/ with the account's own files and its Maildir. */
  mailFolder: string;
  identity: readonly IdentityFolder[];
  contents: Manifest["contents"];
}

export interface Collected {
  accounts: number;
  messages: number;
}

/**
 * Identity first. Small files are whole as they were at one moment, since their writers replace
 * them; a mail that goes while it is looked for is left out, one that is moved is found again.
 * `counts` grows meanwhile.
 */
export async function* collect(
  { mailFolder, identity, contents }: Sources,
  counts: Collected,
): AsyncGenerator<ArchiveEntry> {
  for (const { kind, folder, domain: only } of identity)
    for (const domain of only === undefined ? await foldersIn(folder) : [only]) {
      const at = only === undefined ? join(folder, domain) : folder;
      for (const name of await filesIn(at))
        yield* entryOf(`identity/${kind}/${domainFile(domain)}/${name}`, join(at, name));
    }
  for (const domain of await foldersIn(mailFolder))
    for (const address of await foldersIn(join(mailFolder, domain))) {
      if (mailDomainOf(address) !== domain) continue;
      counts.accounts++;
      const [at, home] = [`mail/${domain}/${address}`, join(mailFolder, domain, address)];
      for (const name of await filesIn(home)) if (isOwnFile(name)) yield* entryOf(`${at}/${name}`, join(home, name));
      if (contents === "All") yield* mailOf(at, home, counts);
    }
}

/** An account's own files: not Dovecot's, which it makes again, and none that is being written. */
const isOwnFile = (name: string) =>
  !isDovecots(name) && !name.endsWith(".tmp") && !["maildirsize", "maildirfolder"].includes(name);
const isDovecots = (name: string) => name.startsWith("dovecot") || name === "subscriptions";
/** What makes a mailbox the same for clients: UIDs, and the folders they have chosen. */
const isMailboxFile = (name: string) =>
  /^dovecot-(uidlist|uidvalidity(\.[0-9a-f]+)?|keywords)$/.test(name) || name === "subscriptions";

/** The inbox, and each folder beside it, as Maildir++ has them: `.NAME`. */
async function* mailOf(at: string, home: string, counts: Collected): AsyncGenerator<ArchiveEntry> {
  const folders = ["", ...(await foldersIn(home)).filter((name) => name.startsWith("."))];
  for (const folder of folders) {
    const [place, path] = [folder === "" ? at : `${at}/${folder}`, join(home, folder)];
    for (const name of await filesIn(path))
      if (isMailboxFile(name) || name === "maildirfolder") yield* entryOf(`${place}/${name}`, join(path, name));
    yield* messagesOf(place, path, counts);
  }
}

/** How often a folder is read for mails that were moved or got other flags while it was read. */
const mostRounds = 5;

async function* messagesOf(at: string, path: string, counts: Collected): AsyncGenerator<ArchiveEntry> {
  const done = new Set<string>();
  for (let round = 0; round < mostRounds; round++) {
    let missed = false;
    for (const part of ["cur", "new"])
      for (const name of await filesIn(join(path, part))) {
        const [unique = ""] = name.split(":");
        if (done.has(unique)) continue;
        let found = false;
        for await (const entry of entryOf(`${at}/${part}/${name}`, join(path, part, name))) {
          found = true;
          done.add(unique);
          counts.messages++;
          yield entry;
        }
        missed ||= !found;
      }
    if (!missed) return;
  }
}

/** None where it has gone. The size is that of the file that was opened. */
async function* entryOf(name: string, path: string): AsyncGenerator<ArchiveEntry> {
  const file = await openIfThere(path);
  if (!file) return;
  try {
    const { size, mtime } = await file.stat();
    const body = size === 0 ? emptyBody() : bodyOf(file, size, path);
    yield { name, size, modified: mtime, body };
  } finally {
    await file.close();
  }
}

const chunkBytes = 64 * 1024;

/** Exactly `size` bytes, also of a file that grows; an error where it has become shorter. */
function bodyOf(file: FileHandle, size: number, path: string): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    async pull(controller) {
      const buffer = Buffer.allocUnsafe(Math.min(chunkBytes, size - at));
      const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
      if (bytesRead === 0) return controller.error(new Error(`${basename(path)} became shorter while it was read`));
      at += bytesRead;
      controller.enqueue(new Uint8Array(buffer.subarray(0, bytesRead)));
      if (at === size) controller.close();
    },
  });
}

const emptyBody = () => new ReadableStream<Uint8Array>({ start: (controller) => controller.close() });

const openIfThere = (path: string): Promise<FileHandle | undefined> => ifThere(() => open(path, "r"));

/** In one order each time. A mounted Secret has links, which lead to files. */
async function filesIn(path: string): Promise<string[]> {
  return (await entriesIn(path))
    .filter((entry) => (entry.isFile() || entry.isSymbolicLink()) && !entry.name.startsWith(".."))
    .map(({ name }) => name)
    .sort();
}

async function foldersIn(path: string): Promise<string[]> {
  return (await entriesIn(path))
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith(".."))
    .map(({ name }) => name)
    .sort();
}

const entriesIn = async (path: string) => (await ifThere(() => readdir(path, { withFileTypes: true }))) ?? [];
