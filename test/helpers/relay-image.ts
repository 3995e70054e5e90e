/**
 * The relay image that was built last, in the lab's engine. In the lab's network no package mirror
 * can be reached, so it is built before.
 */
import { type Image, lastImages } from "../../scripts/images.ts";
import { docker, lines, tryDocker } from "../lab/docker.ts";
import { engineUp } from "../lab/lab.ts";

/** Makes sure that engine and image are there; gives the image's name. */
export async function relayImage(): Promise<string> {
  await engineUp();
  return loadRelay(lastImages().relay);
}

/** Into an engine that runs, in the place of earlier ones; gives its name. */
export async function loadRelay({ name, archive }: Image): Promise<string> {
  const there = await tryDocker(["image", "inspect", name]);
  if (there.code !== 0) {
    await docker(["load", "--quiet", "--input", archive]);
    await removeOlder(name);
  }
  return name;
}

/** Those of earlier runs; one that a container still has stays. */
async function removeOlder(keep: string): Promise<void> {
  const [repository = ""] = keep.split(":");
  const names = lines(await docker(["images", "--format", "{{.Repository}}:{{.Tag}}", repository]));
  for (const name of names) if (name !== keep) await tryDocker(["rmi", name]);
}
