/** Starting and finding the process that hands out LoadBalancer addresses. */
import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { boxPid } from "./box.ts";
import { engineEnv } from "./docker.ts";
import { logDir, stateDir } from "./place.ts";
import { findProcesses, type Process } from "./processes.ts";

const program = join(import.meta.dirname, "load-balancer.ts");

/** The processes that run it for this lab. */
export const loadBalancerProcesses = (): Process[] =>
  findProcesses((argv) => argv.includes(program) && argv.includes(stateDir));

/** Starts it, unless it runs; in the box, where there is one, so that it can't outlive it. */
export function startLoadBalancer() {
  if (loadBalancerProcesses().length > 0) return;
  const pid = boxPid();
  const enter = pid === undefined ? [] : ["nsenter", `--target=${pid}`, "--net", "--pid", "--"];
  const [command, ...args] = [...enter, process.execPath, program, stateDir] as const;
  const log = openSync(join(logDir, "load-balancer.log"), "a");
  const env = { ...process.env, ...engineEnv(), NODE_OPTIONS: "" };
  spawn(command, args, { detached: true, stdio: ["ignore", log, log], env }).unref();
  closeSync(log);
}
