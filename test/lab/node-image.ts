/**
 * Where the node image comes from: kind's published one where Docker reaches a registry, else one of ours, from Debian packages,
 * kind's own files and the programs that we built. This is the other difference between providers.
 */
import { cpSync, existsSync, linkSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { debianBase } from "./base-image.ts";
import { buildLog, contentKey } from "./cache.ts";
import { missingCapabilities, runtimeScript } from "./capabilities.ts";
import { docker, lines, tryDocker } from "./docker.ts";
import { dataRoot } from "./engine.ts";
import { cacheDir, labName } from "./place.ts";
import { buildPrograms, kindFiles, programsAreBuilt, programsDir, programsKey } from "./programs.ts";
import type { Progress } from "./progress.ts";
import { versions } from "./versions.ts";

const sources = join(import.meta.dirname, "node");
/** Raised when what is done below changes. */
const recipe = "1";

/** What a node runs besides Kubernetes; with it, the lab's name server, whose container starts from the same Debian. */
const packages = (
  "systemd systemd-sysv containerd runc containernetworking-plugins conntrack iptables nftables iproute2 ethtool util-linux " +
  "mount kmod jq procps ca-certificates curl e2fsprogs socat pigz busybox-static bind9 bind9-utils"
).split(" ");

/** Each image a node brings along: target in images.Dockerfile and the name under which Kubernetes asks for it. */
const bundled: Record<string, string> = {
  "kube-apiserver": `registry.k8s.io/kube-apiserver:v${versions.kubernetes}`,
  "kube-controller-manager": `registry.k8s.io/kube-controller-manager:v${versions.kubernetes}`,
  "kube-scheduler": `registry.k8s.io/kube-scheduler:v${versions.kubernetes}`,
  "kube-proxy": `registry.k8s.io/kube-proxy:v${versions.kubernetes}`,
  etcd: `registry.k8s.io/etcd:${versions.etcd}`,
  coredns: `registry.k8s.io/coredns/coredns:v${versions.coredns}`,
  pause: `registry.k8s.io/pause:${versions.pause}`,
  "local-path-provisioner": `localhost/local-path-provisioner:v${versions.localPathProvisioner}`,
  helper: "localhost/helper:1",
};

const nodeKey = () =>
  contentKey([
    recipe,
    programsKey(),
    packages.join(),
    JSON.stringify(bundled),
    missingCapabilities().join(),
    ...["Dockerfile", "images.Dockerfile", "storage.yaml"].map((file) => ({ file: join(sources, file) })),
  ]);

const baseTag = () => `${labName}/debian:${contentKey([packages.join(), versions.nodeSuite])}`;
const nodeTag = () => `${labName}/node:${nodeKey()}`;

/** Written beside the engine's data, so that it is known without an engine whether the image is there. */
const readyFile = () => join(dataRoot, `node-${nodeKey()}`);

/** True when `up` needs no long build on a bare machine. */
export const nodeImageIsCached = (): boolean => programsAreBuilt() && existsSync(readyFile());

/** The image that names.ts starts from on a bare machine: Debian with BIND. */
export const bareNamesImage = baseTag;

/** Builds the node image of a bare machine the first time; returns its name. */
export async function bareNodeImage(progress: Progress): Promise<string> {
  const tag = nodeTag();
  const images = lines(await docker(["images", "--format", "{{.Repository}}:{{.Tag}}", `${labName}/*`]));
  if (images.includes(tag) && images.includes(baseTag()) && programsAreBuilt()) {
    writeFileSync(readyFile(), "");
    return tag;
  }
  await buildPrograms(progress);
  const base = await importBase(images, progress);
  progress.step("node image", 40);
  mkdirSync(cacheDir, { recursive: true });
  const draft = mkdtempSync(join(cacheDir, `node-image.draft-${process.pid}-`));
  try {
    await build(draft, base, tag);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
  const old = images.filter((image) => image !== tag && image !== base);
  if (old.length > 0) await tryDocker(["rmi", ...old]);
  await tryDocker(["image", "prune", "-f"]);
  writeFileSync(readyFile(), "");
  return tag;
}

async function importBase(images: readonly string[], progress: Progress): Promise<string> {
  const base = baseTag();
  if (images.includes(base)) return base;
  const tarball = await debianBase(versions.nodeSuite, { include: packages, progress });
  await docker(["import", tarball, base]);
  rmSync(join(tarball, ".."), { recursive: true }); // the engine keeps it now
  return base;
}

async function build(draft: string, base: string, tag: string): Promise<void> {
  const log = buildLog("node-image");
  const env = { DOCKER_BUILDKIT: "0" }; // every client can do this without a plugin
  const context = join(draft, "node");
  mkdirSync(join(context, "bin"), { recursive: true });
  mkdirSync(join(context, "fit"));
  for (const program of ["kubeadm", "kubelet", "kubectl"]) {
    linkSync(join(programsDir(), program), join(context, "bin", program));
  }
  cpSync(kindFiles(), join(context, "kind-files"), { recursive: true });
  cpSync(join(sources, "storage.yaml"), join(context, "storage.yaml"));
  const missing = missingCapabilities();
  if (missing.length > 0) writeFileSync(join(context, "fit/runc-fit"), runtimeScript(missing), { mode: 0o755 });
  const args = { BASE: base, VERSION: `v${versions.kubernetes}`, PAUSE: versions.pause };
  const buildArgs = Object.entries(args).flatMap(([name, value]) => ["--build-arg", `${name}=${value}`]);
  const plain = `${tag}-plain`;
  const dockerfile = (name: string) => ["-f", join(sources, name)];
  await docker(["build", "-q", ...buildArgs, "-t", plain, ...dockerfile("Dockerfile"), context], { log, env });

  for (const [target, name] of Object.entries(bundled)) {
    const options = [...buildArgs, "--target", target, "-t", name, ...dockerfile("images.Dockerfile")];
    await docker(["build", "-q", ...options, programsDir()], { log, env });
  }
  await docker(["save", "-o", join(draft, "bundled.tar"), ...Object.values(bundled)], { log });

  // the images go into the node's containerd, as kind's own node image has them
  const container = `${labName}-build`;
  const mount = ["-v", `${draft}:/in:ro`];
  await tryDocker(["rm", "-f", "-v", container]);
  await docker(
    [
      "run",
      "-d",
      "--name",
      container,
      "--privileged",
      "--network",
      "none",
      ...mount,
      "--entrypoint",
      "sleep",
      plain,
      "600",
    ],
    { log },
  );
  const importAll = `
    containerd > /tmp/log 2>&1 & containerd=$!
    for try in $(seq 100); do ctr version > /dev/null 2>&1 && break; sleep 0.1; done
    ctr -n k8s.io images import --all-platforms --digests /in/bundled.tar || { cat /tmp/log; exit 1; }
    kill $containerd; wait $containerd; rm -rf /run/containerd /tmp/log`;
  await docker(["exec", container, "bash", "-c", importAll], { log });
  await docker(["commit", "--change", 'ENTRYPOINT ["/usr/local/bin/entrypoint","/sbin/init"]', container, tag], {
    log,
  });
  await docker(["rm", "-f", "-v", container]);
  await tryDocker(["rmi", plain, ...Object.values(bundled)]);
}

/** Builds the name server's image where Docker reaches Debian's mirrors; returns its name. */
export async function buildNamesImage(progress: Progress): Promise<string> {
  if (process.env.LAB_NAMES_IMAGE) return process.env.LAB_NAMES_IMAGE;
  const file = join(sources, "names.Dockerfile");
  const tag = `${labName}/names:${contentKey([versions.debian, { file }])}`;
  if ((await tryDocker(["image", "inspect", tag])).code === 0) return tag;
  progress.step("image of the name server", 20);
  await docker(["build", "-q", "-t", tag, "--build-arg", `BASE=${versions.debian}`, "-"], {
    input: readFileSync(file),
    log: buildLog("names-image"),
  });
  return tag;
}
