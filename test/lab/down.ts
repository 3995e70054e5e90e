/**
 * Taking the lab down, from what is found and not from what was noted: also after a crash half way.
 */
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { boxPid, cgroupDirs, cgroupPids, endBox, removeCgroups } from "./box.ts";
import { nodeNames } from "./cluster.ts";
import { lines, tryDocker } from "./docker.ts";
import { dataRoot, findProvider, startEngine } from "./engine.ts";
import { restoreInotify } from "./inotify.ts";
import { loadBalancerProcesses } from "./load-balancer-process.ts";
import { withLock } from "./lock.ts";
import { stopNames } from "./names.ts";
import { cacheDir, imageLock, imageRunDir, isRoot, labName, stateDir } from "./place.ts";
import { argvOf, endProcesses, findProcesses, foldersOf } from "./processes.ts";
import type { Progress } from "./progress.ts";
import { removeRoutes } from "./routes.ts";
import { runSync } from "./run.ts";

export interface Down {
  /** False when there was nothing to take down. */
  found: boolean;
  /** What stays for the next `up`. */
  kept?: string;
}

/** Ends and removes everything of the lab that is there; safe to repeat. */
export async function takeDown(progress: Progress, alsoCache: boolean): Promise<Down> {
  const provider = await findProvider();
  let found = false;
  const count = (n: number | boolean) => {
    if (n) found = true;
  };
  count(await endProcesses(draftMakers, 3000));
  count(await endProcesses(loadBalancerProcesses, 2000));
  if (provider === "docker") count(await leaveEngine(alsoCache));
  else if (isRoot) count(await endOwnEngine(progress));
  // not under a build of images that another lab or checkout has begun
  const leftByBuilds = async () => {
    count(unmountAll());
    rmSync(imageRunDir, { recursive: true, force: true });
  };
  await withLock(leftByBuilds, (pid) => progress.step(`waiting for a build of images (process ${pid})`), imageLock);
  if (existsSync(stateDir)) {
    restoreInotify();
    rmSync(stateDir, { recursive: true, force: true });
    found = true;
  }
  count(removeDrafts());
  if (alsoCache && existsSync(cacheDir)) {
    rmSync(cacheDir, { recursive: true });
    found = true;
  }
  return existsSync(cacheDir) ? { found, kept: cacheDir } : { found };
}

/** Removes the lab's containers, network and routes from the machine's own engine. */
async function leaveEngine(alsoCache: boolean): Promise<boolean> {
  const nodes = await nodeNames({ all: true });
  const named = lines((await tryDocker(["ps", "-aq", "--filter", `name=^${labName}-`])).stdout);
  const all = [...new Set([...nodes, ...named])];
  if (all.length > 0) await tryDocker(["rm", "-f", "-v", ...all]);
  await stopNames();
  const network = await tryDocker(["network", "rm", labName]);
  await removeRoutes();
  if (alsoCache) await removeImages();
  return all.length > 0 || network.code === 0;
}

async function removeImages() {
  const ours = lines((await tryDocker(["images", "--format", "{{.Repository}}:{{.Tag}}", `${labName}/*`])).stdout);
  if (ours.length > 0) await tryDocker(["rmi", ...ours]);
}

/**
 * Ends our own engine with all it runs. One that died early has left containers on disk: a short
 * second life removes them.
 */
async function endOwnEngine(progress: Progress): Promise<boolean> {
  const leftovers = () => {
    const folder = join(dataRoot, "containers");
    return existsSync(folder) && readdirSync(folder).length > 0;
  };
  let found = boxPid() !== undefined;
  if (boxPid() === undefined && leftovers()) {
    progress.step("removing what an engine that died has left");
    await startEngine().catch(() => rmSync(dataRoot, { recursive: true, force: true }));
    found = true;
  }
  if (boxPid() !== undefined) {
    const containers = lines((await tryDocker(["ps", "-aq"])).stdout);
    if (containers.length > 0) await tryDocker(["rm", "-f", "-v", ...containers]);
    await tryDocker(["volume", "prune", "-f"]);
    await tryDocker(["image", "prune", "-f"]);
    await tryDocker(["network", "rm", labName]);
  }
  if (await endBox()) found = true;
  const stray = () => cgroupPids().map((pid) => ({ pid, argv: argvOf(pid) }));
  if ((await endProcesses(stray, 1000)) > 0) found = true;
  if (cgroupDirs().length > 0) {
    removeCgroups();
    found = true;
  }
  return found;
}

/** Whether it is half-made and its maker is dead: what another lab is making is its own. */
export function isLeftDraft(path: string, isAlive = (pid: string) => existsSync(`/proc/${pid}`)): boolean {
  const maker = /[.]draft-(\d+)/.exec(path)?.[1];
  return maker !== undefined && !isAlive(maker);
}

/** Programs that an `up` that was killed has left at work on something half-made. */
function draftMakers() {
  const isLeft = (path: string) => path.startsWith(`${cacheDir}/`) && isLeftDraft(path);
  return findProcesses((argv, pid) => argv.some(isLeft) || foldersOf(pid).some(isLeft));
}

function removeDrafts(): boolean {
  if (!existsSync(cacheDir)) return false;
  const drafts = readdirSync(cacheDir).filter((name) => isLeftDraft(name));
  for (const draft of drafts) rmSync(join(cacheDir, draft), { recursive: true, force: true });
  return drafts.length > 0;
}

/**
 * Unmounts what is still mounted under our folders, innermost first; outside the box that should be
 * nothing.
 */
function unmountAll(): boolean {
  if (!isRoot) return false;
  const ours = mountsUnder(readFileSync("/proc/self/mountinfo", "utf8"), [stateDir, imageRunDir, cacheDir]);
  for (const point of ours) runSync(["umount", "--lazy", point]);
  return ours.length > 0;
}

/** Mount points below the given folders, the last mounted first. Pure. */
export function mountsUnder(mountinfo: string, folders: readonly string[]): string[] {
  return lines(mountinfo)
    .map((line) => (line.split(" ")[4] ?? "").replace(/\\040/g, " "))
    .filter((point) => folders.some((folder) => point.startsWith(`${folder}/`)))
    .reverse();
}
