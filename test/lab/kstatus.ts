/**
 * The library by which Flux, kpt and others wait for resources, as a small program
 * (programs/kstatus).
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { buildLog, cached, cachePath, contentKey } from "./cache.ts";
import { buildGoProgram } from "./programs.ts";
import type { Progress } from "./progress.ts";
import { onThisMachine } from "./progress.ts";

const folder = join(import.meta.dirname, "programs/kstatus");
const key = () => contentKey(["go.mod", "go.sum", "main.go"].map((file) => ({ file: join(folder, file) })));
const programIn = (dir: string) => join(dir, "kstatus");

export const kstatusIsBuilt = (): boolean => existsSync(programIn(cachePath("kstatus", key())));

/** Builds it the first time; returns where it is. */
export async function buildKstatus(progress: Progress): Promise<string> {
  const dir = await cached("kstatus", key(), async (draft) => {
    progress.step("building kstatus from its Go module", onThisMachine(120));
    await buildGoProgram(folder, programIn(draft), { progress, log: buildLog("kstatus") });
  });
  return programIn(dir);
}
