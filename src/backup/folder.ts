/** Backups as files in a folder. */
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { ifThere } from "../lib/if-there.ts";
import { syncToDisk } from "../lib/sync-to-disk.ts";
import { codeOf } from "../lib/text.ts";
import type { Destination } from "./destination.ts";
import { BackupProblem } from "./problem.ts";

const unfinished = ".part";

export function folderDestination(folder: string): Destination {
  const path = (name: string) => join(folder, name);
  return {
    where: folder,
    async write(name, stream, signal) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const part = `${path(name)}${unfinished}`;
      try {
        const to = createWriteStream(part, { mode: 0o600, flush: true });
        await pipeline(Readable.fromWeb(stream as never), to, { signal });
        await rename(part, path(name));
      } catch (thrown) {
        await rm(part, { force: true });
        throw thrown;
      }
      await syncToDisk(folder);
    },
    async read(name) {
      const file = createReadStream(path(name));
      await new Promise<void>((resolve, reject) => {
        file.once("open", () => resolve());
        file.once("error", reject);
      }).catch((thrown: unknown) => {
        if (codeOf(thrown) !== "ENOENT") throw thrown;
        throw new BackupProblem(`there is no backup ${name} in ${folder}`, { cause: thrown });
      });
      return Readable.toWeb(file) as ReadableStream<Uint8Array>;
    },
    async list() {
      const names = (await ifThere(() => readdir(folder))) ?? [];
      return names.filter((name) => !name.endsWith(unfinished));
    },
    delete: (name) => rm(path(name), { force: true }),
  };
}
