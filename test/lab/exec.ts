/**
 * Running commands inside the lab: where nodes, pods and LoadBalancer addresses are near and names
 * come from the lab's name server.
 */
import { delimiter } from "node:path";
import { boxPid, inBox } from "./box.ts";
import { engineEnv } from "./docker.ts";
import { isRoot, kubeconfig, statePath } from "./place.ts";
import { runSync } from "./run.ts";
import { toolFolders } from "./tools.ts";

/** What a program needs to know to use the lab. */
export interface LabEnv {
  KUBECONFIG: string;
  PATH: string;
  DOCKER_HOST?: string;
}

/**
 * Environment of programs in the lab. It does not by itself bring them into the lab's network: see
 * `labExecArgs`.
 */
export function labEnv(): LabEnv {
  const host = engineEnv().DOCKER_HOST;
  const path = [...toolFolders(), process.env.PATH ?? ""];
  return { KUBECONFIG: kubeconfig, PATH: [...new Set(path)].join(delimiter), ...(host ? { DOCKER_HOST: host } : {}) };
}

/**
 * Mounts the lab's resolv.conf, if its name server was started, over the usual one for this process
 * tree only; becomes the command.
 */
const withNames = `if [ -e "$0" ]; then mount --bind "$0" /etc/resolv.conf || exit 125; fi; exec "$@"`;

/**
 * Argument vector that runs a command inside the lab; standard streams, signals and exit code pass
 * through. Where the engine is the machine's own and the user is not root, sudo or a user namespace
 * brings the private mount; without either, names stay the machine's.
 */
export function labExecArgs(command: readonly string[]): string[] {
  const variables = Object.entries(labEnv()).map(([name, value]) => `${name}=${value}`);
  const inner = ["env", ...variables, ...command];
  const unshare = ["unshare", "--mount", "--propagation", "slave"];
  const names = ["sh", "-c", withNames, statePath("resolv.conf")];
  if (boxPid() !== undefined) return inBox([...unshare, ...names, ...inner]);
  if (isRoot) return [...unshare, ...names, ...inner];
  if (runSync(["sudo", "-n", "true"]).code === 0) {
    const user = [`--reuid=${process.getuid?.()}`, `--regid=${process.getgid?.()}`, "--init-groups"];
    return ["sudo", "-n", "--preserve-env", ...unshare, ...names, "setpriv", ...user, ...inner];
  }
  const asRoot = ["unshare", "--user", "--map-root-user", "--mount"];
  return runSync([...asRoot, "true"]).code === 0 ? [...asRoot, ...names, ...inner] : inner;
}
