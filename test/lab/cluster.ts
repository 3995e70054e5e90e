/**
 * The kind cluster: created, given a pod network where kind's own is missing, pointed at the lab's
 * name server.
 */
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { docker, lines } from "./docker.ts";
import { addresses, kubeconfig, labName, logDir, statePath } from "./place.ts";
import type { Progress } from "./progress.ts";
import { LabError } from "./run.ts";
import { kind, kubectl } from "./tools.ts";
import { wantedKubernetes } from "./versions.ts";

/** A node as Docker and Kubernetes know it. */
export interface LabNode {
  name: string;
  address: string;
  podRange: string;
}

/**
 * Stands when the cluster was set up to the end; without it, what a crash has left is made again.
 */
const complete = statePath("cluster-complete");

/** What kind shall create. JSON is YAML. Pure. */
export function clusterConfig(nodes: number, ownPodNetwork: boolean): string {
  const resolver = { hostPath: statePath("resolv.conf"), containerPath: "/etc/lab/resolv.conf", readOnly: true };
  return JSON.stringify({
    kind: "Cluster",
    apiVersion: "kind.x-k8s.io/v1alpha4",
    networking: { disableDefaultCNI: ownPodNetwork, kubeProxyMode: "nftables", podSubnet: addresses.pods },
    nodes: Array.from({ length: nodes }, (_, index) => ({
      role: index === 0 ? "control-plane" : "worker",
      extraMounts: [resolver],
    })),
    // cgroup v1 is allowed; pods that ask the node's resolver ask the lab's, while the node itself
    // may still reach a registry
    kubeadmConfigPatches: [
      JSON.stringify({
        kind: "KubeletConfiguration",
        apiVersion: "kubelet.config.k8s.io/v1beta1",
        failCgroupV1: false,
        resolvConf: resolver.containerPath,
      }),
    ],
  });
}

/** Names of the cluster's containers; running ones only unless all are asked for. */
export async function nodeNames(options: { all?: boolean } = {}): Promise<string[]> {
  const filter = ["--filter", `label=io.x-k8s.kind.cluster=${labName}`, "--format", "{{.Names}}"];
  return lines(await docker(["ps", ...(options.all ? ["-a"] : []), ...filter])).sort();
}

/** Makes sure that the cluster runs with so many nodes (with any number, if none is given). */
export async function startCluster(wanted: {
  nodes: number | undefined;
  image: string;
  ownPodNetwork: boolean;
  progress: Progress;
}): Promise<void> {
  const all = await nodeNames({ all: true });
  const running = await nodeNames();
  if (existsSync(complete) && running.length > 0 && running.length === all.length && (await isReady())) {
    await refuseOtherKubernetes();
    if (wanted.nodes === undefined || wanted.nodes === running.length) return;
    throw new LabError(`the lab runs with ${running.length} node(s); take it down first to have ${wanted.nodes}`);
  }
  const log = join(logDir, "kind.log");
  if (all.length > 0) await kind(["delete", "cluster", "--name", labName, "--kubeconfig", kubeconfig], { log });
  const count = wanted.nodes ?? 1;
  wanted.progress.step(count === 1 ? "cluster" : `cluster with ${count} nodes`, count * 20);
  for (const file of [kubeconfig, complete]) rmSync(file, { force: true });
  const create = ["create", "cluster", "--name", labName, "--image", wanted.image, "--kubeconfig", kubeconfig];
  await kind([...create, "--config", "-"], { input: clusterConfig(count, wanted.ownPodNetwork), log });
  await configureNames(!wanted.ownPodNetwork);
  if (count > 1)
    await kubectl(["taint", "nodes", "--all", "node-role.kubernetes.io/control-plane:NoSchedule-"]).catch(() => {});
  if (wanted.ownPodNetwork) await connectPods(await nodesWithRanges(count));
  await kubectl(["wait", "--for=condition=Ready", "nodes", "--all", "--timeout=120s"]);
  await kubectl(["-n", "kube-system", "rollout", "status", "deployment/coredns", "--timeout=120s"]);
  writeFileSync(complete, "");
}

/** Whoever asks for a version must not test another one unknowingly. */
async function refuseOtherKubernetes(): Promise<void> {
  if (!wantedKubernetes || process.env.LAB_NODE_IMAGE) return;
  const { gitVersion } = JSON.parse(await kubectl(["get", "--raw", "/version"])) as { gitVersion: string };
  if (!gitVersion.startsWith(`v${wantedKubernetes}.`))
    throw new LabError(`the lab runs Kubernetes ${gitVersion}; take it down first to have ${wantedKubernetes}`);
}

/** True when the API server says so. */
export async function isReady(): Promise<boolean> {
  return kubectl(["get", "--raw", "/readyz", "--request-timeout=3s"]).then(
    (text) => text === "ok",
    () => false,
  );
}

/** The nodes with their addresses and pod ranges. */
export async function labNodes(): Promise<LabNode[]> {
  const { items } = JSON.parse(await kubectl(["get", "nodes", "-o", "json"])) as {
    items: {
      metadata: { name: string };
      spec: { podCIDR?: string };
      status: { addresses?: { type: string; address: string }[] };
    }[];
  };
  return items.map(({ metadata, spec, status }) => ({
    name: metadata.name,
    address: status.addresses?.find(({ type }) => type === "InternalIP")?.address ?? "",
    podRange: spec.podCIDR ?? "",
  }));
}

/** The nodes once the controller manager has given each its pod range. */
async function nodesWithRanges(count: number): Promise<LabNode[]> {
  for (let tries = 0; tries < 300; tries++) {
    const nodes = await labNodes();
    if (nodes.length === count && nodes.every(({ podRange, address }) => podRange && address)) return nodes;
    await wait(100);
  }
  throw new LabError(`the nodes got no pod ranges\n  log of kind: ${join(logDir, "kind.log")}`);
}

/** CoreDNS without a cache, so that a zone that a test has just published is what pods see. */
const corefile = `.:53 {
    errors
    health {
       lameduck 2s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 5
    }
    forward . ${addresses.names}
    reload
    loadbalance
}
`;

async function configureNames(restart: boolean) {
  const coredns = ["-n", "kube-system"];
  const patch = JSON.stringify({ data: { Corefile: corefile } });
  await kubectl([...coredns, "patch", "configmap", "coredns", "--type=merge", "-p", patch]);
  await kubectl([...coredns, "scale", "deployment/coredns", "--replicas=1"]);
  if (restart) await kubectl([...coredns, "rollout", "restart", "deployment/coredns"]);
}

/**
 * What kind's own network plugin does, for nodes that lack it: a bridge per node, routes between
 * them, masquerading to the outside.
 */
async function connectPods(nodes: readonly LabNode[]) {
  for (const node of nodes) {
    const routes = nodes
      .filter((other) => other !== node)
      .map((other) => `ip route replace ${other.podRange} via ${other.address}`);
    const script = [
      "set -e",
      ...routes,
      `nft 'add table ip lab; add chain ip lab out { type nat hook postrouting priority srcnat; }; flush chain ip lab out'`,
      `nft 'add rule ip lab out ip saddr ${addresses.pods} ip daddr != ${addresses.pods} masquerade'`,
      "cat > /etc/cni/net.d/10-bridge.conflist",
    ].join("\n");
    await docker(["exec", "-i", node.name, "sh", "-c", script], { input: podNetwork(node.podRange) });
  }
}

/** Configuration of the network plugins on a node with this pod range. Pure. */
export function podNetwork(podRange: string): string {
  return JSON.stringify({
    cniVersion: "0.4.0",
    name: "lab",
    plugins: [
      {
        type: "bridge",
        bridge: "cni0",
        isGateway: true,
        hairpinMode: true,
        ipam: { type: "host-local", ranges: [[{ subnet: podRange }]], routes: [{ dst: "0.0.0.0/0" }] },
      },
      { type: "portmap", capabilities: { portMappings: true } },
    ],
  });
}
