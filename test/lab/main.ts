/** `npm run lab -- …`: the lab by hand. */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { readOptions, refuse } from "../../scripts/options.ts";
import { messageOf } from "../../src/lib/text.ts";
import { findProvider } from "./engine.ts";
import { engineUp, labAvailability, labDown, labEnv, labExecArgs, labStatus, labUp, loadImage } from "./lab.ts";
import { publishZone, removeZone } from "./names.ts";
import { terminalProgress } from "./progress.ts";
import { LabError } from "./run.ts";
import { statusText } from "./status.ts";
import { needTools } from "./tools.ts";

const usage = `npm run lab -- COMMAND

  up [--nodes N]        a Kubernetes cluster with its name server and LoadBalancer addresses; repeatable
  down [--cache]        ends all of it; --cache removes what is kept for a quick next start as well
  status [--json]       what runs and what it uses
  exec CMD…             runs a command inside: addresses are near, names come from the lab's name server
  env                   shell exports: KUBECONFIG, DOCKER_HOST, PATH
  load IMAGE|FILE       puts an image of the engine, or a docker-archive file, into all nodes
  zone NAME FILE|-      publishes a zone; "zone NAME --remove" takes it away
  engine                the Docker engine alone, without a cluster`;

/** Runs a command inside the lab; its end is ours. */
async function exec(command: readonly string[]): Promise<number> {
  if (command.length === 0) throw new LabError("exec needs a command");
  const { state } = await labAvailability();
  if (state !== "up") throw new LabError("the lab is not up: `npm run lab -- up` first");
  await needTools(["kubectl", "helm"], terminalProgress());
  const [program = "", ...args] = labExecArgs(command);
  const child = spawn(program, args, { stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGQUIT", "SIGTERM", "SIGHUP"] as const) {
    // a terminal sends the first two to the command as well
    const isShared = process.stdin.isTTY && (signal === "SIGINT" || signal === "SIGQUIT");
    process.on(signal, () => isShared || child.kill(signal));
  }
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code, signal) => resolve(code ?? 128 + signalNumber(signal)));
  });
}

async function main(argv: readonly string[]): Promise<number> {
  const [first, ...rest] = argv;
  if (first === "exec") return exec(rest[0] === "--" ? rest.slice(1) : rest);
  const { values, positionals: words } = readOptions(usage, {
    allowPositionals: true,
    options: {
      nodes: { type: "string" },
      cache: { type: "boolean" },
      json: { type: "boolean" },
      remove: { type: "boolean" },
      quiet: { type: "boolean", short: "q" },
    },
  });
  const [command, ...positionals] = words;
  const quiet = values.quiet ?? false;
  switch (command) {
    case "up":
      await labUp({ quiet, ...(values.nodes === undefined ? {} : { nodes: nodeCount(values.nodes) }) });
      return 0;
    case "down": {
      const { kept } = await labDown({ quiet, cache: values.cache ?? false });
      if (kept && !quiet) console.error(`        kept for the next time: ${kept} (down --cache removes it)`);
      return 0;
    }
    case "status": {
      const status = await labStatus();
      console.log(values.json ? JSON.stringify(status, undefined, 2) : statusText(status));
      return status.ready ? 0 : 1;
    }
    case "env":
      await findProvider();
      for (const [name, value] of Object.entries(labEnv())) console.log(`export ${name}=${quote(value)}`);
      return 0;
    case "load":
      if (positionals.length === 0) return refuse("load needs an image or a file", usage);
      for (const image of positionals) console.log(`${image}: ${await loadImageFor(image)}`);
      return 0;
    case "zone": {
      const [zone, file = "-"] = positionals;
      if (!zone) return refuse("zone needs a name", usage);
      if (values.remove) await removeZone(zone);
      else await publishZone(zone, zoneFile(file));
      return 0;
    }
    case "engine":
      await engineUp({ quiet });
      return 0;
    case "help":
      console.log(usage);
      return 0;
    default:
      return refuse(command === undefined ? "which command?" : `no such command: ${command}`, usage);
  }
}

function zoneFile(path: string): string {
  try {
    return readFileSync(path === "-" ? 0 : path, "utf8");
  } catch (cause) {
    throw new LabError(`the zone can't be read: ${messageOf(cause)}`, { cause });
  }
}

async function loadImageFor(image: string) {
  await findProvider();
  return loadImage(image);
}

function nodeCount(text: string): number {
  if (!/^[1-9]$/.test(text)) throw new LabError("--nodes takes a number from 1 to 9");
  return Number(text);
}

const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

const signalNumber = (signal: NodeJS.Signals | null) => (signal ? (constants.signals[signal] ?? 0) : 0);

process.exitCode = await main(process.argv.slice(2)).catch((thrown: unknown) => {
  if (!(thrown instanceof LabError)) throw thrown;
  console.error(`lab: ${thrown.message}`);
  return 1;
});
