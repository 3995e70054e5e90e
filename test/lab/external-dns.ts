/** external-dns as a small program (programs/external-dns), and the CRD of its kind. */
import { cpSync, existsSync } from "node:fs";
import { join } from "node:path";
import { buildLog, cached, cachePath, contentKey } from "./cache.ts";
import { buildGoProgram, moduleDir } from "./programs.ts";
import type { Progress } from "./progress.ts";
import { onThisMachine } from "./progress.ts";

const folder = join(import.meta.dirname, "programs/external-dns");
const key = () => contentKey(["go.mod", "go.sum", "main.go"].map((file) => ({ file: join(folder, file) })));
const programIn = (dir: string) => join(dir, "external-dns");
const crdIn = (dir: string) => join(dir, "dnsendpoints.yaml");

export const externalDnsIsBuilt = (): boolean => existsSync(crdIn(cachePath("external-dns", key())));

/** Builds it the first time; returns where program and CRD are. */
export async function buildExternalDns(progress: Progress): Promise<{ program: string; crd: string }> {
  const dir = await cached("external-dns", key(), async (draft) => {
    progress.step("building external-dns from its Go module", onThisMachine(180));
    await buildGoProgram(folder, programIn(draft), { progress, log: buildLog("external-dns") });
    const source = await moduleDir(folder, "sigs.k8s.io/external-dns", progress);
    cpSync(join(source, "config/crd/standard/dnsendpoints.externaldns.k8s.io.yaml"), crdIn(draft), { mode: 0 });
  });
  return { program: programIn(dir), crd: crdIn(dir) };
}
