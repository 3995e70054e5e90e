/**
 * One relay pod's containers on a Docker engine, without a cluster and without the operator; two
 * people join it and write to each other. Leaves nothing running.
 */
import { loadRelay } from "../test/helpers/relay-image.ts";
import { docker, tryDocker } from "../test/lab/docker.ts";
import { type Architecture, ownArchitecture, withEmulation } from "../test/lab/emulation.ts";
import { enginePackages, engineRuns, needProvider } from "../test/lab/engine.ts";
import { engineUp, labDown } from "../test/lab/lab.ts";
import { needPackages } from "../test/lab/packages.ts";
import { type Progress, terminalProgress } from "../test/lab/progress.ts";
import { LabError } from "../test/lab/run.ts";
import { buildRelayImage, buildRelayImageFor } from "./images.ts";
import { inLab } from "./in-lab.ts";

/**
 * `image`: of a registry, or in the engine; without it, it is built. `architecture`: another one
 * than this machine's is emulated, all of it. Gives the exit code.
 */
export async function plainDemo({
  image,
  architecture = ownArchitecture(),
}: {
  image?: string | undefined;
  architecture?: Architecture | undefined;
}): Promise<number> {
  console.log("Chatmail Operator: one relay without a cluster, and a message between two people\n");
  const progress = terminalProgress();
  const ranBefore = await engineRuns();
  try {
    const name = await (image === undefined ? built(progress, architecture) : pulled(image, progress));
    progress.done("the image is here");
    const story = () => withoutInterrupts(() => inLab("scripts/plain-story.ts", name));
    return await (architecture ? withEmulation(architecture, story) : story());
  } finally {
    if (!ranBefore) await labDown({ quiet: true });
  }
}

/** The engine starts meanwhile. */
async function built(progress: Progress, architecture: Architecture | undefined): Promise<string> {
  if ((await needProvider()) === "bare") {
    progress.step("Debian packages");
    // all at once: apt can't work twice at a time, and each time costs seconds
    await needPackages([...enginePackages, "buildah", "debootstrap", "debian-archive-keyring"]);
  }
  const [relay] = await Promise.all([
    architecture ? buildRelayImageFor(architecture, progress) : buildRelayImage(progress),
    engineUp(),
  ]);
  return loadRelay(relay);
}

async function pulled(image: string, progress: Progress): Promise<string> {
  if ((await needProvider()) === "bare")
    throw new LabError("--image needs a Docker engine of this machine: the lab's own one reaches no registry");
  await engineUp();
  if ((await tryDocker(["image", "inspect", image])).code === 0) return image;
  progress.step(`image ${image}`);
  await docker(["pull", "--quiet", image]);
  return image;
}

/** Ctrl-C reaches the story too, which ends by it; what comes after that is still to be done. */
async function withoutInterrupts<T>(work: () => Promise<T>): Promise<T> {
  const goOn = () => undefined;
  process.on("SIGINT", goOn);
  try {
    return await work();
  } finally {
    process.off("SIGINT", goOn);
  }
}
