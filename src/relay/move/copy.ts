/**
 * Copies a volume to another one: names, owners, modes, times, links and contents of its files.
 * What is there already is not copied again, so a copy that was interrupted goes on where it was,
 * and a second pass copies only what has changed. Sockets and pipes are left out: programs create
 * theirs as they start. Names are bytes: they need not be text.
 */
import { createHash } from "node:crypto";
import { type BigIntStats, constants } from "node:fs";
import {
  chmod,
  type FileHandle,
  lchown,
  link,
  lstat,
  lutimes,
  mkdir,
  open,
  readdir,
  readlink,
  rename,
  rm,
  symlink,
  utimes,
} from "node:fs/promises";
import { ifThere } from "../../lib/if-there.ts";
import { syncToDisk } from "../../lib/sync-to-disk.ts";

export interface Copied {
  files: number;
  bytes: number;
  /** Those of them that had to be copied, and what was removed because it no longer exists. */
  copiedFiles: number;
  copiedBytes: number;
  removed: number;
}

export interface CopyOptions {
  from: string;
  to: string;
  /** Files may change or vanish meanwhile: what does is left to the next pass. */
  isLive: boolean;
  /** After each file. */
  progress?: (sofar: Copied) => void;
}

/** Of the file system, and of a copy that was interrupted. */
const ownNames = new Set(["lost+found", ".chatmail-move"]);
const slash = Buffer.from("/");
const join = (folder: Buffer, name: Buffer) => Buffer.concat([folder, slash, name]);
const blockBytes = 1024 * 1024;

/** The source was written to between the first and the last look at it. */
class ChangedError extends Error {
  override readonly name = "ChangedError";
}

/** Throws the first error: what has been copied by then stays. */
export async function copyVolume({ from, to, isLive, progress }: CopyOptions): Promise<Copied> {
  const copied: Copied = { files: 0, bytes: 0, copiedFiles: 0, copiedBytes: 0, removed: 0 };
  /** By device and number of files that have several names: the first copy. */
  const links = new Map<string, Buffer>();
  const scratch = Buffer.from(`${to}/.chatmail-move`);

  async function folder(source: Buffer, target: Buffer, stats: BigIntStats, isRoot = false): Promise<void> {
    const there = await ifThere(() => lstat(target));
    if (there && !there.isDirectory()) await rm(target);
    if (!there?.isDirectory()) await mkdir(target, { mode: 0o700 });
    const names = await readdir(source, { encoding: "buffer" });
    const isOwn = (name: Buffer) => isRoot && ownNames.has(name.toString());
    const wanted = new Set(names.filter((name) => !isOwn(name)).map((name) => name.toString("latin1")));
    for (const name of await readdir(target, { encoding: "buffer" })) {
      if (wanted.has(name.toString("latin1")) || isOwn(name)) continue;
      await rm(join(target, name), { recursive: true, force: true });
      copied.removed += 1;
    }
    for (const name of names) {
      if (isOwn(name)) continue;
      const act = () => entry(join(source, name), join(target, name));
      if (isLive) await unlessChanged(act);
      else await act();
    }
    await attributes(target, stats);
    await syncToDisk(target);
  }

  async function entry(source: Buffer, target: Buffer): Promise<void> {
    const stats = await lstat(source, { bigint: true });
    if (stats.isDirectory()) return folder(source, target, stats);
    if (stats.isSymbolicLink()) return symbolicLink(source, target, stats);
    if (!stats.isFile()) {
      await rm(target, { recursive: true, force: true });
      return;
    }
    copied.files += 1;
    copied.bytes += Number(stats.size);
    const id = `${stats.dev}:${stats.ino}`;
    const first = stats.nlink > 1n ? links.get(id) : undefined;
    if (first) await sameFile(first, target);
    else if (!(await isSame(stats, target))) {
      await file(source, target, stats);
      copied.copiedFiles += 1;
      copied.copiedBytes += Number(stats.size);
    }
    if (stats.nlink > 1n && !first) links.set(id, target);
    progress?.(copied);
  }

  async function sameFile(first: Buffer, target: Buffer): Promise<void> {
    const [one, other] = [await lstat(first), await ifThere(() => lstat(target))];
    if (other?.ino === one.ino) return;
    await rm(target, { recursive: true, force: true });
    await link(first, target);
  }

  async function symbolicLink(source: Buffer, target: Buffer, stats: BigIntStats): Promise<void> {
    await rm(target, { recursive: true, force: true });
    await symlink(await readlink(source, { encoding: "buffer" }), target);
    await lchown(target, Number(stats.uid), Number(stats.gid));
    await lutimes(target, seconds(stats.atimeNs), seconds(stats.mtimeNs));
  }

  /** Under its name only when all of it is on the disk, read back, and has its attributes. */
  async function file(source: Buffer, target: Buffer, stats: BigIntStats): Promise<void> {
    await rm(scratch, { force: true });
    const input = await open(source, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      const output = await open(scratch, "wx+", 0o600);
      try {
        const digest = await contents(input, output);
        await output.sync();
        if ((await digestOf(output)) !== digest)
          throw new Error("a file that was written is read back with other contents");
      } finally {
        await output.close();
      }
      const after = await input.stat({ bigint: true });
      if (after.size !== stats.size || after.mtimeNs !== stats.mtimeNs)
        throw new ChangedError("a file changed while it was copied");
    } finally {
      await input.close();
    }
    await attributes(scratch, stats);
    const there = await ifThere(() => lstat(target));
    if (there?.isDirectory()) await rm(target, { recursive: true });
    await rename(scratch, target);
  }

  const source = Buffer.from(from);
  await folder(source, Buffer.from(to), await lstat(source, { bigint: true }), true);
  await rm(scratch, { force: true });
  return copied;
}

/** Owner first: it takes bits from the mode. */
async function attributes(target: Buffer, stats: BigIntStats): Promise<void> {
  await lchown(target, Number(stats.uid), Number(stats.gid));
  await chmod(target, Number(stats.mode & 0o7777n));
  await utimes(target, seconds(stats.atimeNs), seconds(stats.mtimeNs));
}

const seconds = (ns: bigint) => Number(ns) / 1e9;

/** Times are set as floating-point seconds, which keeps microseconds. */
const timeErrorNs = 2_000n;

async function isSame(stats: BigIntStats, target: Buffer): Promise<boolean> {
  const there = await ifThere(() => lstat(target, { bigint: true }));
  if (!there?.isFile()) return false;
  const apartNs = there.mtimeNs - stats.mtimeNs;
  return (
    there.size === stats.size &&
    apartNs < timeErrorNs &&
    -apartNs < timeErrorNs &&
    there.mode === stats.mode &&
    there.uid === stats.uid &&
    there.gid === stats.gid
  );
}

/** Gives the digest of what was copied. */
async function contents(input: FileHandle, output: FileHandle): Promise<string> {
  const hash = createHash("sha256");
  const block = Buffer.allocUnsafe(blockBytes);
  for (let at = 0; ; ) {
    const { bytesRead } = await input.read(block, 0, block.length, at);
    if (bytesRead === 0) return hash.digest("hex");
    hash.update(block.subarray(0, bytesRead));
    for (let done = 0; done < bytesRead; )
      done += (await output.write(block, done, bytesRead - done, at + done)).bytesWritten;
    at += bytesRead;
  }
}

async function digestOf(file: FileHandle): Promise<string> {
  const hash = createHash("sha256");
  const block = Buffer.allocUnsafe(blockBytes);
  for (let at = 0; ; ) {
    const { bytesRead } = await file.read(block, 0, block.length, at);
    if (bytesRead === 0) return hash.digest("hex");
    hash.update(block.subarray(0, bytesRead));
    at += bytesRead;
  }
}

async function unlessChanged(act: () => Promise<void>): Promise<void> {
  try {
    await ifThere(act);
  } catch (thrown) {
    if (!(thrown instanceof ChangedError)) throw thrown;
  }
}
