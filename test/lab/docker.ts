/** Talking to the Docker engine that the lab uses, through its command line. */
import { boxPid } from "./box.ts";
import { statePath } from "./place.ts";
import { type Ran, type RunOptions, run, tryRun } from "./run.ts";

/** Socket of the engine that the lab itself started. */
export const ownSocket = `unix://${statePath("docker.sock")}`;

let own = false;

/** From here on, docker means the lab's own engine, even before it runs. */
export function useOwnEngine() {
  own = true;
}

/** Environment that makes docker, kind and others talk to the lab's engine. */
export const engineEnv = (): { DOCKER_HOST?: string } => {
  const host = own || boxPid() !== undefined ? ownSocket : process.env.DOCKER_HOST;
  return host ? { DOCKER_HOST: host } : {};
};

/** Runs a docker command that has to succeed. */
export const docker = (args: readonly string[], options: RunOptions = {}): Promise<string> =>
  run(["docker", ...args], { ...options, env: { ...engineEnv(), ...options.env } });

/** Runs a docker command and returns what it said. */
export const tryDocker = (args: readonly string[], options: RunOptions = {}): Promise<Ran> =>
  tryRun(["docker", ...args], { ...options, env: { ...engineEnv(), ...options.env } });

/** Lines of output, none for none. */
export const lines = (text: string): string[] => text.split("\n").filter((line) => line !== "");
