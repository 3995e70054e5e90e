/** What runs of the lab, and what it uses. */
import { existsSync, readFileSync } from "node:fs";
import { boxPid, cgroupPids } from "./box.ts";
import { isReady, labNodes, nodeNames } from "./cluster.ts";
import { tryDocker } from "./docker.ts";
import { findProvider } from "./engine.ts";
import { inotifyInstances } from "./inotify.ts";
import { currentAddress, type ServiceView, serviceKey } from "./load-balancer-plan.ts";
import { loadBalancerProcesses } from "./load-balancer-process.ts";
import { nameServer, publishedZones } from "./names.ts";
import { addresses, cacheDir, isRoot, stateDir } from "./place.ts";
import { tryRun } from "./run.ts";
import { kubectl } from "./tools.ts";
import { versions } from "./versions.ts";

export interface LabStatus {
  provider: "docker" | "bare" | "none";
  /** Why nothing can run here. */
  impossible?: string;
  /** Version of the Docker engine, while it answers. */
  engine?: string;
  nodes: { name: string; address: string }[];
  /** True when the API server answers. */
  ready: boolean;
  kubernetes?: string;
  nameServer?: string;
  zones: string[];
  /** LoadBalancer addresses by Service. */
  addresses: Record<string, string>;
  loadBalancer: boolean;
  /** Memory of everything in our own engine, shared pages counted once. */
  memoryBytes?: number;
  diskBytes: { cache: number; state: number };
}

/** Looks at what is there; never starts anything. */
export async function labStatus(): Promise<LabStatus> {
  const provider = await findProvider();
  const disk = { cache: await diskBytes(cacheDir), state: await diskBytes(stateDir) };
  const nothing = { nodes: [], ready: false, zones: [], addresses: {}, loadBalancer: false, diskBytes: disk };
  if (typeof provider === "object") return { ...nothing, provider: "none", impossible: provider.impossible };
  const engine = await tryDocker(["version", "--format", "{{.Server.Version}}"]);
  if (engine.code !== 0) return { ...nothing, provider };
  const running = await nodeNames();
  const ready = running.length > 0 && (await isReady());
  const memory = memoryBytes();
  return {
    ...nothing,
    provider,
    engine: engine.stdout.trim(),
    ready,
    nodes: ready ? (await labNodes()).map(({ name, address }) => ({ name, address })) : running.map(unready),
    ...(ready ? { kubernetes: await kubectl(["version", "-o", "json"]).then(serverVersion) } : {}),
    ...(running.length > 0 ? { nameServer, zones: await publishedZones() } : {}),
    addresses: ready ? await loadBalancerAddresses() : {},
    loadBalancer: loadBalancerProcesses().length > 0,
    ...(memory === undefined ? {} : { memoryBytes: memory }),
  };
}

const unready = (name: string) => ({ name, address: "" });

const serverVersion = (json: string): string =>
  (JSON.parse(json) as { serverVersion?: { gitVersion?: string } }).serverVersion?.gitVersion ?? "";

async function loadBalancerAddresses(): Promise<Record<string, string>> {
  const { items } = JSON.parse(await kubectl(["get", "services", "-A", "-o", "json"])) as { items: ServiceView[] };
  return Object.fromEntries(
    items.flatMap((service) => {
      const address = currentAddress(service);
      return address ? [[serviceKey(service), address]] : [];
    }),
  );
}

/**
 * Memory of all processes of our own engine, shared pages counted once (PSS); undefined where there
 * is none.
 */
function memoryBytes(): number | undefined {
  const sizes = cgroupPids().map((pid) => {
    try {
      return proportionalBytes(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"));
    } catch {
      return 0; // it has ended
    }
  });
  return sizes.length === 0 ? undefined : sizes.reduce((sum, size) => sum + size, 0);
}

/** From the text of smaps_rollup. Pure. */
export const proportionalBytes = (text: string): number => Number(/^Pss:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1024;

async function diskBytes(dir: string): Promise<number> {
  if (!existsSync(dir)) return 0;
  const { stdout } = await tryRun(["du", "-sxk", dir]);
  return Number(stdout.split("\t")[0] ?? 0) * 1024;
}

/** "1.3 GiB". Pure. */
export function humanBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let size = bytes;
  let unit = 0;
  for (; size >= 1024 && unit < units.length - 1; unit++) size /= 1024;
  return `${size < 10 && unit > 0 ? size.toFixed(1) : Math.round(size)} ${units[unit]}`;
}

/** The status for a person. Pure but for the inotify limit. */
export function statusText(status: LabStatus): string {
  if (status.impossible) return status.impossible;
  const rows: [string, string][] = [];
  const nodes = status.nodes.map(({ name, address }) => `${name} ${address}`.trim()).join(", ");
  const isUp = status.ready && status.loadBalancer;
  rows.push(["lab", isUp ? "up" : status.engine ? (nodes ? "not ready" : "engine only") : "down"]);
  if (status.engine) {
    const own = status.provider === "bare" ? "our own, in namespaces of its own" : "the machine's";
    rows.push(["engine", `Docker ${status.engine} (${own})`]);
  }
  if (nodes) rows.push(["nodes", nodes]);
  if (status.kubernetes) rows.push(["kubernetes", `${status.kubernetes}, kind v${versions.kind}`]);
  if (status.nameServer) rows.push(["names", `${status.nameServer}, zones: ${status.zones.join(" ") || "none yet"}`]);
  const given = Object.entries(status.addresses).map(([service, address]) => `${address} ${service}`);
  if (nodes) rows.push(["addresses", given.join(", ") || `none given yet of ${addresses.loadBalancer}`]);
  if (nodes && !status.loadBalancer) rows.push(["", "nobody hands out addresses: `npm run lab -- up`"]);
  if (status.memoryBytes !== undefined) rows.push(["memory", humanBytes(status.memoryBytes)]);
  rows.push(["disk", `${humanBytes(status.diskBytes.cache)} cache in ${cacheDir}`]);
  if (isRoot && boxPid() !== undefined)
    rows.push(["inotify", `${inotifyInstances()} instances per user, put back by down`]);
  return rows.map(([name, value]) => `${name.padEnd(11)} ${value}`).join("\n");
}
