/** Routes to LoadBalancer addresses, on the machine whose engine runs the nodes. */
import { docker, lines } from "./docker.ts";
import { addresses, isRoot, labName } from "./place.ts";
import { LabError, run } from "./run.ts";

/** Runs `ip` where the routes belong; for a user without root the Docker engine does it. */
export async function ip(args: readonly string[]): Promise<string> {
  if (isRoot) return run(["ip", ...args]);
  const [image] = lines(await docker(["images", "--format", "{{.Repository}}:{{.Tag}}", `${labName}/names`]));
  if (!image) throw new LabError("routes need the lab's name server image or root");
  const rights = ["--network", "host", "--cap-add", "NET_ADMIN", "--entrypoint", "ip"];
  return docker(["run", "--rm", ...rights, image, ...args]);
}

/** An address that nobody has fails at once, instead of leaving by the default route. */
export const refuseUnknown = () => ip(["route", "replace", "unreachable", addresses.loadBalancer, "metric", "9999"]);

/** Routes of the range that lead to a node: address → node. */
export async function presentRoutes(): Promise<Map<string, string>> {
  return parseRoutes(await ip(["route", "show", "root", addresses.loadBalancer]));
}

/** From the output of `ip route show`. Pure. */
export function parseRoutes(text: string): Map<string, string> {
  return new Map(
    lines(text).flatMap((line) => {
      const match = /^(\S+) via (\S+)/.exec(line);
      return match?.[1] && match[2] ? [[match[1], match[2]] as const] : [];
    }),
  );
}

/** Removes all routes of the range; none there, or no way to, is no failure. */
export const removeRoutes = () => ip(["route", "flush", "root", addresses.loadBalancer]).catch(() => "");
