/** Where a pod's memory is: by container and program, what is its own and what it shares. */
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { type RelayContainerName, relayContainers } from "../../src/pod/containers.ts";
import type { RelayPod } from "../../test/helpers/relay-pod.ts";

export interface ProgramMemory {
  processes: number;
  /** All in MiB. `shared` is its part of pages that other processes have too. */
  pss: number;
  own: number;
  shared: number;
}
/** By "container program". */
export type Memory = Record<string, ProgramMemory>;

export async function memoryOf(pod: RelayPod): Promise<Memory> {
  const memory: Memory = {};
  for (const { name } of relayContainers()) {
    for (const pid of await pod.processNumbers(name)) add(memory, name, pid);
  }
  return memory;
}

function add(memory: Memory, container: RelayContainerName, pid: number) {
  const rollup = readOrNot(`/proc/${pid}/smaps_rollup`);
  // it has ended
  if (rollup === "") return;
  const mib = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+)`, "m").exec(rollup)?.[1] ?? 0) / 1024;
  const key = `${container} ${programOf(pid)}`;
  const program = memory[key] ?? { processes: 0, pss: 0, own: 0, shared: 0 };
  memory[key] = program;
  const [pss, own] = [mib("Pss"), mib("Private_Clean") + mib("Private_Dirty")];
  program.processes++;
  program.pss += pss;
  program.own += own;
  program.shared += pss - own;
}

/** `comm` of proc(5) is the name of a thread in node, and cut to 15 characters. */
function programOf(pid: number): string {
  const [program = "", first = ""] = readOrNot(`/proc/${pid}/cmdline`).split("\0");
  if (program.startsWith("nginx: ")) return program.slice(0, 20).trim();
  const name = basename(program.split(" ")[0] ?? "");
  return ["sh", "bash"].includes(name) ? basename(first) : name;
}

export const total = (memory: Memory) => Object.values(memory).reduce((sum, { pss }) => sum + pss, 0);

/** The largest first; KiB for each of so many clients, where they are given. */
export function memoryRows(memory: Memory, clients?: { before: Memory; count: number }): [string, string][] {
  const rows = Object.entries(memory).toSorted(([, a], [, b]) => b.pss - a.pss);
  return rows.map(([name, { processes, pss, own, shared }]) => {
    const size = `${pss.toFixed(1).padStart(7)} (own ${own.toFixed(1)}, shared ${shared.toFixed(1)})`;
    const more = (pss - (clients?.before[name]?.pss ?? 0)) * 1024;
    const each = clients ? `; ${(more / clients.count).toFixed(1)} KiB a client` : "";
    return [`  ${name}${processes > 1 ? ` × ${processes}` : ""}`, size + each];
  });
}

function readOrNot(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
