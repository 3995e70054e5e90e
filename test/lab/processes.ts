/**
 * Finding and ending processes by what they were called with; no pid is trusted that was written
 * down earlier.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";

export interface Process {
  pid: number;
  argv: string[];
}

/** Every process whose arguments satisfy the question; this one excepted. */
export function findProcesses(matches: (argv: string[], pid: number) => boolean): Process[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => pid > 0 && pid !== process.pid)
    .flatMap((pid) => {
      const argv = argvOf(pid);
      return argv.length > 0 && matches(argv, pid) ? [{ pid, argv }] : [];
    });
}

/** Arguments of a process; empty for one that has ended, and for kernel threads. */
export function argvOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").slice(0, -1);
  } catch {
    return [];
  }
}

/** Where a process stands: its working folder and its root. */
export function foldersOf(pid: number): string[] {
  return ["cwd", "root"].flatMap((link) => {
    try {
      return [readlinkSync(`/proc/${pid}/${link}`)];
    } catch {
      return [];
    }
  });
}

/** True when the process is the first one of a pid namespace other than ours. */
export function isNamespaceInit(pid: number): boolean {
  try {
    const line = /^NSpid:\s*(.+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "";
    const ids = line.trim().split(/\s+/);
    return ids.length > 1 && ids.at(-1) === "1";
  } catch {
    return false;
  }
}

/**
 * Asks the processes to end and, after the given patience, makes them. Returns how many there were.
 */
export async function endProcesses(find: () => Process[], patienceMs: number): Promise<number> {
  const all = find();
  for (const { pid } of all) signal(pid, "SIGTERM");
  const deadline = performance.now() + patienceMs;
  while (find().length > 0 && performance.now() < deadline) await wait(50);
  for (const { pid } of find()) signal(pid, "SIGKILL");
  while (find().length > 0 && performance.now() < deadline + 5000) await wait(50);
  return all.length;
}

function signal(pid: number, name: NodeJS.Signals) {
  try {
    process.kill(pid, name);
  } catch {
    // it has ended meanwhile
  }
}
