/** The relay image in the lab's engine, built or taken from the cache. */
import { buildImages } from "../../scripts/images.ts";
import { docker, tryDocker } from "../lab/docker.ts";
import { engineUp } from "../lab/lab.ts";
import { silent } from "../lab/progress.ts";

/** Makes sure that engine and image are there; the image's name. */
export async function relayImage(): Promise<string> {
  await engineUp();
  const { relay } = await buildImages({ progress: silent });
  const there = await tryDocker(["image", "inspect", relay.name]);
  if (there.code !== 0) await docker(["load", "--quiet", "--input", relay.archive]);
  return relay.name;
}
