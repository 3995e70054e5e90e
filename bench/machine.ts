/**
 * What all measurements share: what a figure was measured on, how figures are printed, and what a
 * measurement says and hears on its way.
 */
import { execFileSync } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { cpus, loadavg, release, totalmem } from "node:os";
import { dirname } from "node:path";

export function machine(): string {
  const [first] = cpus();
  return `${cpus().length} × ${first?.model.trim() ?? "unknown CPU"}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}, Node ${process.version}`;
}

/**
 * Of the machine when the measurement begins: above the number of CPUs, it was busy with something
 * else.
 */
const loadBefore = Math.round((loadavg()[0] ?? Number.NaN) * 10) / 10;

export function printTable(rows: readonly (readonly [string, string])[]): void {
  const width = Math.max(...rows.map(([what]) => what.length));
  console.log(`${machine()}; load before: ${loadBefore}`);
  for (const [what, figure] of rows) console.log(`${what.padEnd(width)}  ${figure}`);
}

/**
 * Which commit the figures are of, and whether files differ from it: as it is when the measurement
 * begins.
 */
export const commit = currentCommit();

function currentCommit(): string {
  const git = (...args: string[]) => execFileSync("git", args, { cwd: import.meta.dirname, encoding: "utf8" }).trim();
  const head = git("rev-parse", "HEAD");
  const changes = git("status", "--porcelain", "--", "../src", "../image", "../Dockerfile", ".", ":!results");
  return changes === "" ? head : `${head} with changes`;
}

/**
 * Writes the figures into the file, and what they are of, and makes its folder; nothing without a
 * file.
 */
export async function writeJson(file: string | undefined, figures: object): Promise<void> {
  if (file === undefined) return;
  const about = { machine: machine(), loadBefore, commit, measuredAt: new Date().toISOString() };
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, `${JSON.stringify({ ...about, ...figures }, null, 2)}\n`);
}

/** The value below which a share (0 to 1) of the values lies. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** A line about what is going on; figures alone go to standard output. */
export const say = (text: string) => console.error(`${new Date().toTimeString().slice(0, 8)} ${text}`);

/**
 * Aborted by SIGINT and SIGTERM, so that a measurement can clean up after itself; what it throws
 * then says no more than that.
 */
export function endSignal(): AbortSignal {
  const ended = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.on(signal, () => {
      process.once("uncaughtException", () => {
        console.error("interrupted");
        process.exit(130);
      });
      ended.abort(new Error(signal));
    });
  return ended.signal;
}
