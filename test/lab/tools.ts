/**
 * kind, kubectl and helm: our own on a bare machine; elsewhere those of PATH, if they are new
 * enough, else built from the Go module.
 */
import { join } from "node:path";
import { cachePath, isCached } from "./cache.ts";
import { engineEnv } from "./docker.ts";
import { reaching } from "./engine.ts";
import { kubeconfig, labName } from "./place.ts";
import { buildProgram, isNewEnough, programsAreBuilt, programsDir, programsKey } from "./programs.ts";
import { type Progress, silent } from "./progress.ts";
import { type RunOptions, run, runSync } from "./run.ts";

const tools = {
  kind: { ask: ["version"], least: "0.31" },
  kubectl: { ask: ["version", "--client"], least: "1.34" },
  helm: { ask: ["version", "--short"], least: "3.16" },
} as const;

export type Tool = keyof typeof tools;

/** How to call a tool that is there: its path, or its name when PATH has a good one. */
function findTool(tool: Tool): string | undefined {
  if (programsAreBuilt()) return join(programsDir(), tool);
  if (isCached(tool, programsKey())) return join(cachePath(tool, programsKey()), tool);
  const { code, stdout } = runSync([tool, ...tools[tool].ask]);
  return code === 0 && isNewEnough(stdout, tools[tool].least) ? tool : undefined;
}

/** Makes sure that the tools are there, building what is missing. */
export async function needTools(wanted: readonly Tool[], progress: Progress = silent): Promise<void> {
  for (const tool of wanted) if (!findTool(tool)) await buildProgram(tool, progress);
}

/** Folders that go before PATH so that the lab's tools are found. */
export const toolFolders = (): string[] =>
  programsAreBuilt()
    ? [programsDir()]
    : (Object.keys(tools) as Tool[]).flatMap((tool) =>
        isCached(tool, programsKey()) ? [cachePath(tool, programsKey())] : [],
      );

/** Runs kubectl against the lab's cluster. */
export const kubectl = (args: readonly string[], options: RunOptions = {}): Promise<string> =>
  run(reaching([findTool("kubectl") ?? "kubectl", ...args]), { ...options, env: { KUBECONFIG: kubeconfig } });

/** Runs kind on the lab's engine and network. */
export const kind = (args: readonly string[], options: RunOptions = {}): Promise<string> =>
  run(reaching([findTool("kind") ?? "kind", ...args]), {
    ...options,
    env: { ...engineEnv(), KIND_EXPERIMENTAL_PROVIDER: "docker", KIND_EXPERIMENTAL_DOCKER_NETWORK: labName },
  });
