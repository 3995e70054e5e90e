/**
 * The lab, for tests and scripts: a real cluster, its Docker engine and its name server, up or
 * down.
 */
import { boxPid } from "./box.ts";
import { isReady, nodeNames, startCluster } from "./cluster.ts";
import { type Down, takeDown } from "./down.ts";
import { engineRuns, findProvider, needProvider, startEngine } from "./engine.ts";
import { loadBalancerProcesses, startLoadBalancer } from "./load-balancer-process.ts";
import { loadImage } from "./load-image.ts";
import { withLock } from "./lock.ts";
import { namesRun, startNames } from "./names.ts";
import {
  bareNamesImage,
  bareNodeImage,
  buildNamesImage,
  helperImage,
  lacksPodNetwork,
  pullHelperImage,
} from "./node-image.ts";
import { programsAreBuilt } from "./programs.ts";
import { type Progress, silent, terminalProgress } from "./progress.ts";
import { needTools } from "./tools.ts";
import { kubernetesVersions, usualKubernetes, wantedKubernetes } from "./versions.ts";

export { labEnv, labExecArgs } from "./exec.ts";
export { labStatus } from "./status.ts";
export { loadImage };

export interface UpOptions {
  /** Number of nodes; without it, whatever runs, else one. */
  nodes?: number;
  /** No progress on standard error. */
  quiet?: boolean;
}

const { kindNode } = kubernetesVersions[wantedKubernetes ?? usualKubernetes];

const progressOf = (options: { quiet?: boolean }): Progress => (options.quiet ? silent : terminalProgress());

const alone = <T>(progress: Progress, work: () => Promise<T>): Promise<T> =>
  withLock(work, (pid) => progress.step(`waiting for another run of the lab (process ${pid})`));

/** Makes sure that the whole lab runs. Safe to repeat; takes up what a crash has left. */
export async function labUp(options: UpOptions = {}): Promise<void> {
  const progress = progressOf(options);
  const provider = await needProvider();
  await alone(progress, async () => {
    await startEngine(progress);
    const bare = provider === "bare";
    const image = process.env.LAB_NODE_IMAGE || (bare ? await bareNodeImage(progress) : kindNode);
    await needTools(["kind", "kubectl"], progress);
    await startNames(bare ? await bareNamesImage(progress) : await buildNamesImage(progress));
    const ownPodNetwork = await lacksPodNetwork(image);
    await startCluster({ nodes: options.nodes, image, ownPodNetwork, progress });
    if (!ownPodNetwork) await pullHelperImage().then(() => loadImage(helperImage));
    startLoadBalancer();
  });
  progress.done("up");
}

/**
 * Makes sure that a Docker engine with the lab's network runs, without a cluster; some seconds. One
 * that runs is used at once, also while its cluster is being created.
 */
export async function engineUp(options: { quiet?: boolean } = { quiet: true }): Promise<void> {
  if (await engineRuns()) return;
  const progress = progressOf(options);
  await alone(progress, () => startEngine(progress));
}

/** As `engineUp`, with the lab's name server, for containers that send mail to each other. */
export async function namesUp(options: { quiet?: boolean } = { quiet: true }): Promise<void> {
  if ((await engineRuns()) && (await namesRun())) return;
  const progress = progressOf(options);
  const provider = await needProvider();
  await alone(progress, async () => {
    await startEngine(progress);
    await startNames(provider === "bare" ? await bareNamesImage(progress) : await buildNamesImage(progress));
  });
}

/**
 * Ends whatever runs of the lab and removes its traces; `cache` removes what was kept for the next
 * time as well.
 */
export async function labDown(options: { quiet?: boolean; cache?: boolean } = {}): Promise<Down> {
  const progress = progressOf(options);
  const down = await alone(progress, () => takeDown(progress, options.cache ?? false));
  progress.done(down.found ? "down" : "there is nothing to do");
  return down;
}

export interface Availability {
  /** `quick`: up within a minute or so. `long`: something has to be built first. */
  state: "up" | "quick" | "long" | "impossible";
  /** One sentence for the person who reads the test report. */
  why: string;
}

/** Whether the lab runs, and if not, what it would take. */
export async function labAvailability(): Promise<Availability> {
  const provider = await findProvider();
  if (typeof provider === "object") return { state: "impossible", why: provider.impossible };
  if (await isUp()) return { state: "up", why: "the lab is up" };
  if (provider === "docker") return { state: "quick", why: "Docker is here" };
  if (programsAreBuilt()) return { state: "quick", why: "the programs of the lab are in the cache" };
  return { state: "long", why: "the lab has to be built once, some 8 minutes on 2 cores: `npm run lab -- up`" };
}

/** Whether anything of the lab runs, ready or not: whoever finds it so has to leave it there. */
export async function labIsThere(): Promise<boolean> {
  await findProvider();
  return boxPid() !== undefined || (await nodeNames().catch(() => [])).length > 0;
}

async function isUp(): Promise<boolean> {
  const nodes = await nodeNames().catch(() => []);
  return nodes.length > 0 && loadBalancerProcesses().length > 0 && (await isReady());
}
