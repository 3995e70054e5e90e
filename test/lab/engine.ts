/**
 * Where Docker comes from: the machine's own engine, or one of ours in a box. This is one of the
 * two differences between providers.
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { boxPid, endBox, inBox, startBox } from "./box.ts";
import { missingCapabilities, runtimeScript } from "./capabilities.ts";
import { docker, lines, ownSocket, tryDocker, useOwnEngine } from "./docker.ts";
import { raiseInotify } from "./inotify.ts";
import { missingPackages, needPackages } from "./packages.ts";
import { addresses, cacheDir, isRoot, labName, logDir, makeStateDir, statePath } from "./place.ts";
import { type Progress, silent } from "./progress.ts";
import { LabError, runSync } from "./run.ts";

/**
 * `docker`: the machine has an engine. `bare`: root on Debian, the lab brings one. Otherwise why
 * neither works.
 */
export type Provider = "docker" | "bare" | { impossible: string };

/**
 * Images, layers and containers of our own engine; the images are a cache, containers go at `down`.
 */
export const dataRoot = join(cacheDir, `docker-${labName}`);

/** Packages of the engine itself; clusters and images need some more. */
export const enginePackages = ["docker.io", "iptables", "iproute2", "jq"] as const;

/** What an engine says about itself, as far as it decides whether the lab can use it. */
export interface EngineInfo {
  OperatingSystem?: string;
  SecurityOptions?: string[] | null;
}

/** Whether nodes of this engine can be reached from here. Pure. */
export function judgeEngine(info: EngineInfo): Provider {
  if (/docker desktop/i.test(info.OperatingSystem ?? ""))
    return {
      impossible:
        "Docker Desktop keeps the addresses of nodes inside its virtual machine: run the lab in a Linux machine with Docker, " +
        "or as root on Debian; unit tests still run here",
    };
  if (info.SecurityOptions?.some((option) => option.includes("rootless")))
    return {
      impossible:
        "rootless Docker hides the addresses of nodes: a Docker engine that runs as root is needed; unit tests still run here",
    };
  return "docker";
}

let known: Provider | undefined;

/** Finds out, once per process, where Docker comes from. */
export async function findProvider(): Promise<Provider> {
  known ??= await lookForProvider();
  if (known === "bare") useOwnEngine();
  return known;
}

async function lookForProvider(): Promise<Provider> {
  if (process.platform !== "linux")
    return { impossible: "the lab needs Linux (a virtual machine will do); unit tests still run here" };
  if (process.env.LAB_PROVIDER === "bare" || boxPid() !== undefined || process.env.DOCKER_HOST === ownSocket)
    return "bare";
  const { code, stdout } = await tryDocker(["info", "--format", "{{json .}}"]);
  const info =
    code === 0 && stdout.startsWith("{") ? (JSON.parse(stdout) as EngineInfo & { ServerVersion?: string }) : {};
  if ("ServerVersion" in info && info.ServerVersion) return judgeEngine(info);
  if (isRoot && existsSync("/etc/debian_version") && existsSync("/usr/bin/apt-get")) return "bare";
  return {
    impossible:
      "the lab needs a Docker engine that this user can reach, or root on Debian to bring its own; unit tests still run here",
  };
}

/** The provider, or an error that says what is needed. */
export async function needProvider(): Promise<"docker" | "bare"> {
  const provider = await findProvider();
  if (typeof provider === "object") throw new LabError(provider.impossible);
  return provider;
}

/** True when our own engine answers. */
const answers = async () => (await tryDocker(["version", "--format", "{{.Server.Version}}"])).code === 0;

/** Whether the engine answers and has the lab's network. */
export async function engineRuns(): Promise<boolean> {
  if ((await needProvider()) === "bare" && boxPid() === undefined) return false;
  return (await tryDocker(["network", "inspect", labName])).code === 0;
}

/**
 * Makes sure that a Docker engine with the lab's network runs; seconds. The cluster, if there is
 * one, runs on the same.
 */
export async function startEngine(progress: Progress = silent): Promise<void> {
  const provider = await needProvider();
  makeStateDir();
  if (provider === "bare") await startOwnEngine(progress);
  const networks = lines(await docker(["network", "ls", "--format", "{{.Name}}"]));
  if (networks.includes(labName)) return;
  const v4 = ["--subnet", addresses.subnet, "--gateway", addresses.gateway, "--ip-range", addresses.dynamic];
  await docker(["network", "create", labName, ...v4, "--ipv6", "--subnet", addresses.subnet6]);
}

async function startOwnEngine(progress: Progress): Promise<void> {
  if (boxPid() !== undefined && (await answers())) return;
  await installEngine(progress);
  progress.step("Docker engine in namespaces of its own");
  await endBox(); // one that does not answer
  mkdirSync(dataRoot, { recursive: true });
  // pid files of an earlier life hold numbers that mean something else in a new process namespace
  for (const name of ["docker", "docker.pid", "docker.sock"]) rmSync(statePath(name), { recursive: true, force: true });
  raiseInotify();
  const log = join(logDir, "dockerd.log");
  await startBox(
    [
      "dockerd",
      ...["--data-root", dataRoot, "--exec-root", statePath("docker"), "--pidfile", statePath("docker.pid")],
      ...["--host", ownSocket, "--dns", addresses.names],
      ...["--cgroup-parent", `/${labName}`, "--exec-opt", "native.cgroupdriver=cgroupfs"],
      // what containers have elsewhere, and not what whoever started the lab has
      ...["--default-ulimit", "nofile=1048576:1048576"],
      ...fittingRuntime(),
    ],
    log,
  );
  for (let tries = 0; tries < 150; tries++) {
    if (boxPid() === undefined) break;
    if (await answers()) return removeLeftovers();
    await wait(200);
  }
  throw new LabError(`the Docker engine did not start\n  full log: ${log}`);
}

async function installEngine(progress: Progress) {
  if (missingPackages(enginePackages).length > 0) progress.step("Debian packages of the Docker engine");
  await needPackages(enginePackages, join(logDir, "apt.log"));
  if (runSync(["docker", "--version"]).code !== 0) await needPackages(["docker-cli"]); // a package of its own since Debian 13
}

/**
 * Containers that an engine of an earlier life still remembers: nothing of that life is running.
 */
async function removeLeftovers() {
  const containers = lines(await docker(["ps", "-aq"]));
  if (containers.length > 0) await docker(["rm", "-f", "-v", ...containers]);
  await docker(["volume", "prune", "-f"]);
}

/** Options that put our runtime before runc, only where a capability is missing. */
function fittingRuntime(): string[] {
  const missing = missingCapabilities();
  if (missing.length === 0) return [];
  const path = statePath("runc-fit");
  writeFileSync(path, runtimeScript(missing), { mode: 0o755 });
  return ["--add-runtime", `fit=${path}`, "--default-runtime", "fit"];
}

/**
 * Argument vector that runs a command where nodes, pods and LoadBalancer addresses can be reached.
 */
export const reaching = (argv: readonly string[]): string[] => inBox(argv);
