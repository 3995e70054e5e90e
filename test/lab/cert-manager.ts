/** The controllers of cert-manager as one program (programs/cert-manager), and its CRDs. */
import { cpSync } from "node:fs";
import { join } from "node:path";
import { buildLog, cached, contentKey, isCached } from "./cache.ts";
import { buildGoProgram, moduleDir } from "./programs.ts";
import type { Progress } from "./progress.ts";
import { onThisMachine } from "./progress.ts";

const folder = join(import.meta.dirname, "programs/cert-manager");
const key = () => contentKey(["go.mod", "go.sum", "main.go"].map((file) => ({ file: join(folder, file) })));

export const certManagerIsBuilt = (): boolean => isCached("cert-manager", key());

/** Builds it the first time; returns where it is, and the folder of its CRDs. */
export async function buildCertManager(progress: Progress): Promise<{ program: string; crds: string }> {
  const dir = await cached("cert-manager", key(), async (draft) => {
    progress.step("building the controllers of cert-manager from its Go module", onThisMachine(400));
    await buildGoProgram(folder, join(draft, "cert-manager"), { progress, log: buildLog("cert-manager") });
    const module = await moduleDir(folder, "github.com/cert-manager/cert-manager", progress);
    // module folders are read-only
    cpSync(join(module, "deploy/crds"), join(draft, "crds"), { recursive: true, mode: 0 });
  });
  return { program: join(dir, "cert-manager"), crds: join(dir, "crds") };
}
