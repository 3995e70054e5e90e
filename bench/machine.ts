/** What a figure was measured on, and how figures are printed. */
import { writeFile } from "node:fs/promises";
import { cpus, release, totalmem } from "node:os";

export function machine(): string {
  const [first] = cpus();
  return `${cpus().length} × ${first?.model.trim() ?? "unknown CPU"}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}, Node ${process.version}`;
}

export function printTable(rows: readonly (readonly [string, string])[]): void {
  const width = Math.max(...rows.map(([what]) => what.length));
  console.log(machine());
  for (const [what, figure] of rows) console.log(`${what.padEnd(width)}  ${figure}`);
}

/** Writes the figures where `--json FILE` says; nothing without that option. */
export async function writeJson(options: readonly string[], figures: unknown): Promise<void> {
  const at = options.indexOf("--json");
  const file = options[at + 1];
  if (at < 0) return;
  if (file === undefined) throw new Error("--json needs a file name");
  await writeFile(file, `${JSON.stringify({ machine: machine(), figures }, null, 2)}\n`);
}

/** The value below which a share (0 to 1) of the values lies. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
