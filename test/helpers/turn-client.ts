/** coturn's own client, on a machine of its own in the lab's network. */
import { tryDocker } from "../lab/docker.ts";
import { labName } from "../lab/place.ts";
import { relayImage } from "./relay-image.ts";

/** What `turnutils_uclient` said, however it ended, within half a minute. */
export async function turnClient(...args: readonly string[]): Promise<string> {
  const run = ["run", "--rm", "--network", labName, "--entrypoint", "timeout", await relayImage()];
  const { stdout, stderr } = await tryDocker([...run, "30", "turnutils_uclient", ...args]);
  return stdout + stderr;
}
