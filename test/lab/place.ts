/**
 * Where the lab lives: its names, its folders and the documentation addresses it uses (RFC 5737,
 * RFC 3849).
 */
import { mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { refuse } from "../../scripts/options.ts";

/**
 * Name of the kind cluster, the Docker network, the cgroup, and the prefix of containers. LAB_NAME
 * makes a second lab on one machine.
 */
export const labName = process.env.LAB_NAME || "chatmail-lab";
if (!isLabName(labName))
  refuse(
    `LAB_NAME must have 1 to 40 lower-case letters, digits and hyphens, without a hyphen at either end, and is ${JSON.stringify(labName)}`,
    "LAB_NAME=other npm run lab -- up",
  );

/** As images and containers may be named; the path of a socket has 107 bytes at most. */
export function isLabName(text: string): boolean {
  return /^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$/.test(text);
}

export const addresses = {
  subnet: "198.51.100.0/24",
  gateway: "198.51.100.1",
  /** The lab's name server: the internet of every pod. */
  names: "198.51.100.53",
  /**
   * Containers that do not say which address they want (the nodes among them) get one from here.
   */
  dynamic: "198.51.100.128/25",
  subnet6: "2001:db8:51::/64",
  gateway6: "2001:db8:51::1",
  /** LoadBalancer addresses. */
  loadBalancer: "203.0.113.0/24",
  pods: "10.244.0.0/16",
} as const;

/**
 * What relays of the lab have to connect to: all of it has addresses that are special-purpose
 * elsewhere.
 */
export const privatePeers: string[] = [addresses.subnet, addresses.subnet6, addresses.loadBalancer];

/** True where the lab may make namespaces of its own and install packages. */
export const isRoot = process.getuid?.() === 0;

/** Folder of what is running now: sockets, logs, kubeconfig. Gone after `down`. */
export const stateDir = runPath(labName);

/**
 * Where buildah keeps its state while it builds: one for all labs and checkouts, as its storage in
 * the cache is.
 */
export const imageRunDir = runPath("chatmail-images");
/** Held by whoever builds images or removes what a build has left. */
export const imageLock = `${imageRunDir}.lock`;

/**
 * Where something that is gone after a restart of the machine lies; without root, a name that no
 * other user has.
 */
function runPath(name: string): string {
  if (isRoot) return `/run/${name}`;
  return join(process.env.XDG_RUNTIME_DIR ?? "/tmp", `${name}-${process.getuid?.()}`);
}

/** A path inside the state folder. */
export const statePath = (...parts: string[]) => join(stateDir, ...parts);

/** Folder of what is worth keeping between runs; safe to delete while the lab is down. */
export const cacheDir = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "chatmail-operator", "lab");

export const kubeconfig = statePath("kubeconfig");
export const logDir = statePath("log");

/** Makes the state and log folders, readable by their owner only. */
export function makeStateDir() {
  mkdirSync(logDir, { recursive: true, mode: 0o700 });
}
