/**
 * `npm run bench -- NAME [options]`: one measurement, printed as a table with the machine it ran
 * on. `--json FILE` writes the same.
 */
import { spawn, spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { parseArgs } from "node:util";
import { buildImages } from "../scripts/images.ts";
import { asksForHelp, refuse } from "../scripts/options.ts";
import { buildPrevious, installPrevious, previousCommit } from "../scripts/previous.ts";
import { engineUp, labExecArgs, labUp, loadImage } from "../test/lab/lab.ts";
import { terminalProgress } from "../test/lab/progress.ts";
import { LabError } from "../test/lab/run.ts";

/** Those that need the lab's cluster and our images in it; the others run as they are. */
const inTheLab = ["relay", "upgrade"];
/** Those that need its engine and the relay's image only. */
const onTheEngine = [
  "connections",
  "fan-out",
  "flood",
  "group",
  "kills",
  "mail",
  "memory",
  "order",
  "probe",
  "round-trip",
  "start",
];
const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith(".ts") && !["run.ts", "machine.ts"].includes(file))
  .map((file) => file.replace(/\.ts$/, ""));

const [name = "", ...options] = process.argv.slice(2);
if (!names.includes(name)) {
  const usage = `npm run bench -- ${names.join("|")} [--json FILE]`;
  if (asksForHelp([name])) {
    console.log(usage);
    process.exit(0);
  }
  refuse(name === "" ? "which measurement?" : `no such measurement: ${name}`, usage);
}

// options are looked at before anything is started for them
const help = asksForHelp(options);
const look = spawnSync("node", [`bench/${name}.ts`, ...options, "--help"], {
  stdio: ["ignore", help ? "inherit" : "ignore", "inherit"],
});
if (help || look.status !== 0) process.exit(look.status ?? 1);

const command = await prepared().catch((thrown: unknown) => {
  if (!(thrown instanceof LabError)) throw thrown;
  console.error(thrown.message);
  process.exit(1);
});
const [program = "", ...args] = command;
const child = spawn(program, args, { stdio: "inherit" }).on("exit", (code) => {
  process.exitCode = code ?? 1;
});
// the measurement cleans up after itself, and this waits for it
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => child.kill(signal));

/** All that it needs is there afterwards; gives the command that measures. */
async function prepared(): Promise<string[]> {
  const command = ["node", `bench/${name}.ts`, ...options];
  if (inTheLab.includes(name)) {
    const before = name === "upgrade" && (await previousCommit());
    await labUp({});
    const images = await buildImages();
    for (const { archive } of [images.operator, images.relay]) await loadImage(archive);
    process.env.OPERATOR_IMAGE = images.operator.name;
    process.env.RELAY_IMAGE = images.relay.name;
    if (before) {
      const previous = await buildPrevious(before, terminalProgress());
      await loadImage(previous.relay.archive);
      process.env.PREVIOUS = JSON.stringify(previous);
    }
    return labExecArgs(command);
  }
  if (onTheEngine.includes(name)) {
    const { against } = parseArgs({ args: options, options: { against: { type: "string" } }, strict: false }).values;
    if (typeof against === "string") {
      const previous = await buildPrevious(await previousCommit(against, "--against "), terminalProgress());
      await installPrevious(previous);
      process.env.PREVIOUS = JSON.stringify(previous);
    }
    await engineUp();
    await buildImages();
    return labExecArgs(command);
  }
  return command;
}
