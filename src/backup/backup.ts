/** Makes a backup, looks whether it is what was written, and removes those that are old. */
import { createHash } from "node:crypto";
import { type End, type Manifest, packArchive } from "./archive.ts";
import { type Collected, collect, type Sources } from "./collect.ts";
import type { Destination, Written } from "./destination.ts";
import { encrypted } from "./encryption.ts";
import { backupName, namesToDelete } from "./naming.ts";
import { BackupProblem } from "./problem.ts";

export interface BackupOptions {
  manifest: Omit<Manifest, "format" | "contents">;
  sources: Sources;
  /** age keys (age1…). */
  recipients: readonly string[];
  destination: Destination;
  /** How many stay. */
  keep: number;
  signal?: AbortSignal;
}

export interface StreamReport extends Collected, End {
  name: string;
  /** Of the encrypted file. */
  size: number;
  sha256: string;
}

export interface BackupReport extends StreamReport {
  deleted: string[];
}

/** Encrypted, for a reader who keeps it. `report`: of what was read, once all of it was. */
export async function streamBackup({
  sources,
  recipients,
  manifest: about,
}: Pick<BackupOptions, "manifest" | "sources" | "recipients">): Promise<{
  name: string;
  stream: ReadableStream<Uint8Array>;
  report: () => StreamReport;
}> {
  const manifest: Manifest = { format: 1, contents: sources.contents, ...about };
  const counts: Collected = { accounts: 0, messages: 0 };
  let end: End | undefined;
  const archive = packArchive(manifest, collect(sources, counts), (told) => {
    end = told;
  });
  const sent = digesting();
  const stream = (await encrypted(archive, recipients)).pipeThrough(sent.transform);
  const name = backupName(manifest);
  const report = () => {
    if (!end) throw new Error("the archive was not written to its end");
    const { bytes: size, sha256 } = sent.result();
    return { name, size, sha256, ...counts, ...end };
  };
  return { name, stream, report };
}

/** Older ones go only when the new one is there. Throws BackupProblem, or an error of the disk. */
export async function makeBackup(options: BackupOptions): Promise<BackupReport> {
  const { destination, keep, signal } = options;
  const { name, stream, report } = await streamBackup(options);
  await destination.write(name, stream, signal);
  const written = report();
  const read = digesting();
  await (await destination.read(name)).pipeThrough(read.transform).pipeTo(new WritableStream());
  const found = read.result();
  if (found.sha256 !== written.sha256)
    throw new BackupProblem(
      `${name} in ${destination.where} is not what was written (${found.bytes} bytes of ${written.size}): do not use it`,
    );
  const deleted = namesToDelete(await destination.list(), options.manifest.server, keep);
  for (const old of deleted) await destination.delete(old);
  return { ...written, deleted };
}

/** Counts and digests what passes. */
function digesting() {
  const hash = createHash("sha256");
  let bytes = 0;
  const transform = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      hash.update(chunk);
      bytes += chunk.length;
      controller.enqueue(chunk);
    },
  });
  return { transform, result: (): Written => ({ bytes, sha256: hash.digest("hex") }) };
}
