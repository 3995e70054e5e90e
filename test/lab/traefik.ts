/**
 * Traefik from its Go module, in the version that k3s ships, and its CRDs. Without the DNS
 * providers for its own certificates: the SDKs of a hundred clouds, of which the Go proxy lacks
 * some. For another version: its number and its requirements in programs/traefik/go.mod, then `go
 * mod tidy` in the folder that `layOut` makes, and the two sums of Traefik itself in go.sum.
 */
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildLog, cached, contentKey, isCached } from "./cache.ts";
import { buildGoTool, downloadModule } from "./programs.ts";
import type { Progress } from "./progress.ts";
import { onThisMachine } from "./progress.ts";
import { LabError, run } from "./run.ts";

const folder = join(import.meta.dirname, "programs/traefik");
const files = ["go.mod", "go.sum", "dns/dns.go", "ext/go.mod", "ext/ext.go"];
/** Raised when what is done below changes. */
const recipe = "1";
const key = () => contentKey([recipe, ...files.map((file) => ({ file: join(folder, file) }))]);
const traefik = "github.com/traefik/traefik/v3";
const crdsOfModule = "docs/content/reference/dynamic-configuration/kubernetes-crd-definition-v1.yml";

export const traefikIsBuilt = (): boolean => isCached("traefik", key());

/** Builds it the first time; returns where it is, and the file of its CRDs. */
export async function buildTraefik(progress: Progress): Promise<{ program: string; crds: string }> {
  const dir = await cached("traefik", key(), async (draft) => {
    // measured: 371 s of the compiler and 79 s of the system, on a busy machine
    progress.step("building Traefik from its Go module", onThisMachine(450));
    const module = join(draft, "module");
    await layOut(module, progress);
    const log = buildLog("traefik");
    await buildGoTool(module, join(draft, "traefik"), `${traefik}/cmd/traefik`, { progress, log });
    cpSync(join(module, "source", crdsOfModule), join(draft, "crds.yaml"));
    rmSync(module, { recursive: true });
  });
  return { program: join(dir, "traefik"), crds: join(dir, "crds.yaml") };
}

/** Our module, with Traefik's own source in it, which finds DNS providers in our package. */
async function layOut(module: string, progress: Progress): Promise<void> {
  const original = await downloadModule(folder, traefik, progress);
  cpSync(folder, module, { recursive: true });
  const source = join(module, "source");
  cpSync(original, source, { recursive: true });
  await run(["chmod", "-R", "u+w", source]); // module folders are read-only
  change(join(module, "go.mod"), "replace (\n", `replace (\n\t${traefik} => ./source\n`);
  const users = join(source, "pkg/provider/acme/provider.go");
  change(users, "github.com/go-acme/lego/v5/providers/dns", "chatmail.dev/lab/traefik/dns");
}

function change(file: string, from: string, to: string): void {
  const text = readFileSync(file, "utf8");
  if (text.split(from).length !== 2) throw new LabError(`${file} does not have "${from}" once`);
  writeFileSync(file, text.replace(from, to));
}
