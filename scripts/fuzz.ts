/**
 * `npm run fuzz [-- TARGET …] [--minutes 3] [--seed N]`: hostile input for what takes bytes from
 * outside, each target in a process of its own. `npm run fuzz -- TARGET --replay FILE` tries one
 * input again. A crasher is written to a file; exit 1.
 * `npm run fuzz -- hostile-load`: how long the relay daemon stands still under the costliest mails;
 * exit 1 above its limit.
 */
import { fork } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { machine } from "../bench/machine.ts";
import type { ChildMessage } from "../test/fuzz/child.ts";
import { replay } from "../test/fuzz/engine.ts";
import { hostileLoad, mostP99Ms } from "../test/fuzz/hostile-load.ts";
import { targets } from "../test/fuzz/targets.ts";
import { columns } from "./columns.ts";
import { numberOf, readOptions, refuse } from "./options.ts";

const usage = `npm run fuzz [-- TARGET …] [--minutes 3] [--seed N]
npm run fuzz -- TARGET --replay FILE
npm run fuzz -- hostile-load
targets: ${Object.keys(targets).join(", ")}`;
const { values, positionals } = readOptions(usage, {
  allowPositionals: true,
  options: {
    minutes: { type: "string", default: "3" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 2 ** 31)) },
    replay: { type: "string" },
  },
});
if (positionals.includes("hostile-load")) {
  if (positionals.length > 1) refuse("hostile-load runs alone", usage);
  process.exit(await hostileTable());
}
const chosen = positionals.length > 0 ? positionals : Object.keys(targets);
const unknown = chosen.filter((name) => !Object.hasOwn(targets, name));
if (unknown.length > 0) refuse(`no target is called ${unknown.join(", ")}`, usage);
const seed = numberOf("--seed", values.seed, { above: -1, whole: true }, usage);
const minutes = numberOf("--minutes", values.minutes, {}, usage);

if (values.replay !== undefined) {
  const [name = ""] = positionals;
  const target = targets[name];
  if (!target || positionals.length > 1) refuse("--replay needs the one target that the file is for", usage);
  if (!existsSync(values.replay)) refuse(`there is no file ${values.replay}`, usage);
  const error = await replay(target, readFileSync(values.replay), seed);
  console.log(error ? (error.stack ?? error.message) : "nothing goes wrong");
  process.exit(error ? 1 : 0);
}

/** A process that tells nothing for so long hangs. */
const hangMs = 20_000;
const mostRssMib = 700;
const folder = mkdtempSync(join(tmpdir(), "fuzz-"));

interface Run {
  message: ChildMessage | undefined;
  /** Why it ended before its time; the input it was at. */
  died?: { why: string; input: Buffer };
}

function run(name: string, lastsMs: number): Promise<Run> {
  const file = join(folder, `${name}.current`);
  const child = fork(resolve(import.meta.dirname, "../test/fuzz/child.ts"), [
    name,
    String(seed),
    String(lastsMs),
    file,
  ]);
  return new Promise((done) => {
    let message: ChildMessage | undefined;
    let why: string | undefined;
    const watchdog = setTimeout(() => {
      why = `hangs: no input done in ${hangMs / 1000} s`;
      child.kill("SIGKILL");
    }, hangMs);
    child.on("message", (told) => {
      message = told as ChildMessage;
      watchdog.refresh();
    });
    child.on("exit", (code, signal) => {
      clearTimeout(watchdog);
      if (message?.report) done({ message });
      else done({ message, died: { why: why ?? `process ended: ${signal ?? code}`, input: readFileSync(file) } });
    });
  });
}

const rows: string[][] = [
  ["target", "inputs", "per s", "accepted", "refused", "slowest", "ms/MiB", "peak RSS", "crashers"],
];
let failed = false;

function keep(name: string, input: Buffer, why: string): void {
  failed = true;
  const file = join(folder, `${name}-${createHash("sha256").update(input).digest("hex").slice(0, 16)}`);
  writeFileSync(file, input);
  console.log(`${name}: ${why}\n  npm run fuzz -- ${name} --seed ${seed} --replay ${file}`);
}

console.log(`--seed ${seed}`);
for (const name of chosen) {
  const { message, died } = await run(name, (minutes * 60_000) / chosen.length);
  const report = message?.report;
  for (const { input, message: why, stack } of report?.crashers ?? []) {
    keep(name, Buffer.from(input, "base64"), stack ?? why);
  }
  if (died) keep(name, died.input, died.why);
  const rssMib = Math.round((message?.rssKib ?? 0) / 1024);
  if (rssMib > mostRssMib) {
    failed = true;
    console.log(`${name}: ${rssMib} MiB resident, ${mostRssMib} are allowed`);
  }
  for (const [why, count] of report?.notes ?? []) console.log(`${name}: ${count} × ${why}`);
  rows.push([
    name,
    String(report?.inputs ?? "?"),
    report ? String(Math.round(report.inputs / report.seconds)) : "?",
    String(report?.accepted ?? "?"),
    String(report?.refused ?? "?"),
    report ? `${Math.round(report.slowestMs)} ms (${report.slowestBytes} B)` : "?",
    report?.msPerMib ? String(Math.round(report.msPerMib)) : "-",
    `${rssMib} MiB`,
    String((report?.crashers.length ?? 0) + (died ? 1 : 0)),
  ]);
}
console.log(columns(rows));
if (!failed) rmSync(folder, { recursive: true, force: true });
process.exitCode = failed ? 1 : 0;

async function hostileTable(): Promise<number> {
  let worst = 0;
  const table = [["mails of 30 MiB, four at each filter", "time", "CPU", "stood still p50", "p99", "at most"]];
  await hostileLoad(({ what, seconds, cpuSeconds, p50Ms, p99Ms, maxMs }) => {
    worst = Math.max(worst, p99Ms);
    const times = [p50Ms, p99Ms, maxMs].map((each) => `${each.toFixed(1)} ms`);
    table.push([what, `${seconds.toFixed(1)} s`, `${cpuSeconds.toFixed(1)} s`, ...times]);
  });
  console.log(machine());
  console.log(columns(table));
  console.log(`p99 at most ${worst.toFixed(1)} ms, ${mostP99Ms} are allowed`);
  return worst > mostP99Ms ? 1 : 0;
}
