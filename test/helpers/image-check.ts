/** The check of an image as the operator's job runs it, on the lab's engine. */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkContainers, podSysctls } from "../../src/pod/containers.ts";
import { planFile } from "../../src/pod/layout.ts";
import { planHash } from "../../src/pod/plan-files.ts";
import { tryDocker } from "../lab/docker.ts";
import { relayImage } from "./relay-image.ts";
import { makeFolders, optionsOf, swapFolder, volumeOf } from "./relay-pod.ts";

/**
 * One container after the other, up to the first that fails: what that one says. `replace`: files
 * of the image that are others, by a path on this machine.
 */
export async function checkImage(
  plan: string,
  options: { replace?: Readonly<Record<string, string>> } = {},
): Promise<{ passed: boolean; container: string; said: string }> {
  const image = await relayImage();
  const folder = mkdtempSync(join(tmpdir(), "image-check-"));
  chmodSync(folder, 0o755);
  makeFolders(folder);
  swapFolder(join(folder, "plan"), { [planFile]: plan });
  const sysctls = Object.entries(podSysctls).flatMap(([name, value]) => ["--sysctl", `${name}=${value}`]);
  const replaced = Object.entries(options.replace ?? {}).flatMap(([at, file]) => ["--volume", `${file}:${at}:ro`]);
  let last = { passed: true, container: "", said: "" };
  try {
    for (const container of checkContainers(planHash(plan))) {
      const [program = "", ...args] = container.command;
      const mounted = optionsOf(container, (mount) => volumeOf(mount, folder, () => undefined));
      const how = [...mounted, ...replaced, ...sysctls, "--network", "none", "--memory", "256m"];
      const { code, stderr } = await tryDocker(["run", "--rm", ...how, "--entrypoint", program, image, ...args]);
      last = { passed: code === 0, container: container.name, said: stderr.trim() };
      if (code !== 0) break;
    }
    return last;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
