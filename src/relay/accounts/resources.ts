/**
 * Reads what is left of load, memory and disk. Memory is the container's where it has a limit, else
 * the machine's.
 */
import { readFile, statfs } from "node:fs/promises";
import { cpus } from "node:os";
import { diskRoom } from "../../lib/disk-room.ts";
import type { Resources } from "./policy.ts";

export interface ResourceFolders {
  proc: string;
  cgroup: string;
}

const systemFolders: ResourceFolders = { proc: "/proc", cgroup: "/sys/fs/cgroup" };

export async function readResources(
  diskFolder: string,
  folders = systemFolders,
  cores = cpus().length,
): Promise<Resources> {
  const [loadText, machine, container, disk] = await Promise.all([
    textOf(`${folders.proc}/loadavg`),
    textOf(`${folders.proc}/meminfo`),
    containerMemory(folders.cgroup),
    statfs(diskFolder).catch(() => undefined),
  ]);
  const room = disk && diskRoom(disk);
  const load = Number.parseFloat(loadText ?? "");
  const machineMemory = fieldOf(machine, /^MemAvailable:\s+(\d+) kB$/m, 1024);
  const known = [machineMemory, container?.available].filter((bytes) => bytes !== undefined);
  return {
    loadPerCore: Number.isFinite(load) ? load / cores : undefined,
    availableMemoryBytes: known.length > 0 ? Math.min(...known) : undefined,
    memoryLimitBytes: container?.limit,
    freeDiskBytes: room?.freeBytes,
    diskBytes: room?.bytes,
  };
}

/** Undefined without a limit. File pages that the kernel would give back count as available. */
async function containerMemory(cgroup: string): Promise<{ limit: number; available: number } | undefined> {
  const v2 = await memoryIn(cgroup, { limit: "memory.max", used: "memory.current", prefix: "" });
  return v2 ?? (await memoryIn(`${cgroup}/memory`, v1Files));
}

const v1Files = { limit: "memory.limit_in_bytes", used: "memory.usage_in_bytes", prefix: "total_" };

/** cgroup v1 writes "no limit" as a number above anything a machine has. */
const noLimitAbove = 2 ** 60;

async function memoryIn(folder: string, files: typeof v1Files) {
  const [limitText, usedText, stat] = await Promise.all([
    textOf(`${folder}/${files.limit}`),
    textOf(`${folder}/${files.used}`),
    textOf(`${folder}/memory.stat`),
  ]);
  const limit = fieldOf(limitText, /^(\d+)$/m, 1);
  const used = fieldOf(usedText, /^(\d+)$/m, 1);
  if (limit === undefined || used === undefined || limit > noLimitAbove) return undefined;
  const reclaimable =
    (fieldOf(stat, new RegExp(`^${files.prefix}inactive_file (\\d+)$`, "m"), 1) ?? 0) +
    (fieldOf(stat, new RegExp(`^${files.prefix}active_file (\\d+)$`, "m"), 1) ?? 0);
  return { limit, available: Math.max(0, limit - Math.max(0, used - reclaimable)) };
}

function fieldOf(text: string | undefined, pattern: RegExp, factor: number): number | undefined {
  const match = text === undefined ? null : pattern.exec(text);
  return match ? Number(match[1]) * factor : undefined;
}

async function textOf(path: string): Promise<string | undefined> {
  return readFile(path, "utf8").catch(() => undefined);
}
