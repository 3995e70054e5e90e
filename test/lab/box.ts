/**
 * The box: on a bare machine the Docker engine and all it starts live in network, mount, process
 * and IPC namespaces of their own. Nothing of it touches the host's addresses, routes, rules or
 * mounts, and when its first process ends the kernel ends everything inside, however the rest went.
 */
import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { labName, stateDir } from "./place.ts";
import { endProcesses, findProcesses, isNamespaceInit } from "./processes.ts";

const marker = `${labName}-box`;

/**
 * First process of the box: sets up the network, starts the program given, ends with it; as any
 * init it collects orphans.
 */
const init = `
ip link set lo up
echo 1 > /proc/sys/net/ipv4/ip_forward
echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
shift
"$@" & child=$!
trap 'kill -TERM $child' TERM
while kill -0 $child 2>/dev/null; do wait $child; done
`;

/** All processes that make the box: the first one inside and its parent outside. */
const boxProcesses = () => findProcesses((argv) => argv.includes(marker) && argv.includes(stateDir));

/** Host's number of the first process inside, while the box is there. */
export function boxPid(): number | undefined {
  return boxProcesses().find(({ pid, argv }) => argv[0] === "bash" && isNamespaceInit(pid))?.pid;
}

/** Starts a program as the only child of a new box; its output goes to a file. */
export async function startBox(argv: readonly string[], log: string): Promise<void> {
  const namespaces = ["--net", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--mount-proc"];
  const out = openSync(log, "a");
  const box = ["unshare", ...namespaces, "--propagation", "slave", "bash", "-c", init, marker, stateDir, ...argv];
  const counted = ["-c", 'echo $$ > "$0"; exec "$@"', accountingFile() ?? "/dev/null"];
  const child = spawn("sh", [...counted, ...box], { detached: true, stdio: ["ignore", out, out] });
  closeSync(out);
  child.unref();
  for (let tries = 0; tries < 100 && boxPid() === undefined; tries++) await wait(20);
}

/** Argument vector that runs a command in the box's network. */
export function inBox(argv: readonly string[]): string[] {
  const pid = boxPid();
  return pid === undefined ? [...argv] : ["nsenter", `--target=${pid}`, "--net", "--", ...argv];
}

/** Ends the box and everything in it; true when there was one. */
export async function endBox(): Promise<boolean> {
  const inside = () => boxProcesses().filter(({ pid }) => isNamespaceInit(pid));
  const ended = await endProcesses(inside, 15_000);
  return (await endProcesses(boxProcesses, 1000)) + ended > 0;
}

/** Cgroup folders of the lab: one per hierarchy with cgroup v1, one in all with v2. */
export function cgroupDirs(): string[] {
  const root = "/sys/fs/cgroup";
  if (!existsSync(root)) return [];
  const roots = existsSync(join(root, "cgroup.controllers"))
    ? [root]
    : readdirSync(root).map((name) => join(root, name));
  return roots.map((dir) => join(dir, labName)).filter((dir) => existsSync(dir));
}

/**
 * Where a process writes itself to be counted with the lab; undefined without cgroups that we may
 * make.
 */
function accountingFile(): string | undefined {
  const v2 = existsSync("/sys/fs/cgroup/cgroup.controllers");
  const dir = join(v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory", labName, "engine");
  try {
    mkdirSync(dir, { recursive: true });
    return join(dir, "cgroup.procs");
  } catch {
    return undefined;
  }
}

/**
 * Removes the lab's cgroups, innermost first; the kernel refuses while something runs in them.
 * Returns how many went.
 */
export function removeCgroups(): number {
  const remove = (dir: string): number => {
    let gone = 0;
    for (const entry of readdirSync(dir, { withFileTypes: true })) {
      if (entry.isDirectory()) gone += remove(join(dir, entry.name));
    }
    try {
      rmdirSync(dir);
      return gone + 1;
    } catch {
      return gone;
    }
  };
  return cgroupDirs().reduce((sum, dir) => sum + remove(dir), 0);
}

/** Processes in the lab's cgroups: what an engine that was killed may have left. */
export function cgroupPids(): number[] {
  const collect = (dir: string): number[] => {
    const own = readFileSync(join(dir, "cgroup.procs"), "utf8").trim().split("\n").filter(Boolean).map(Number);
    const below = readdirSync(dir, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return [...own, ...below.flatMap((entry) => collect(join(dir, entry.name)))];
  };
  try {
    return [...new Set(cgroupDirs().flatMap(collect))].filter((pid) => pid > 0);
  } catch {
    return []; // a group vanished while it was read
  }
}
