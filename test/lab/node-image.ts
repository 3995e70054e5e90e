/**
 * Where the node image comes from: kind's published one where Docker reaches a registry, else one
 * of ours, from Debian packages, kind's own files and the programs that we built. This is the other
 * difference between providers.
 */
import { cpSync, linkSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { debianBase } from "./base-image.ts";
import { buildLog, contentKey } from "./cache.ts";
import { missingCapabilities, runtimeScript } from "./capabilities.ts";
import { docker, lines, tryDocker } from "./docker.ts";
import { withLock } from "./lock.ts";
import { cacheDir, labName } from "./place.ts";
import { buildPrograms, kindFiles, programsAreBuilt, programsDir, programsKey } from "./programs.ts";
import type { Progress } from "./progress.ts";
import { run } from "./run.ts";
import { builtKubernetes, versions } from "./versions.ts";

const sources = join(import.meta.dirname, "node");
/** Raised when what is done below changes. */
const recipe = "1";

/**
 * What a node runs besides Kubernetes; with it, the lab's name server, whose container starts from
 * the same Debian.
 */
const packages = (
  "systemd systemd-sysv containerd runc containernetworking-plugins conntrack iptables nftables iproute2 ethtool util-linux " +
  "mount kmod jq procps ca-certificates curl e2fsprogs socat pigz busybox-static bind9 bind9-utils"
).split(" ");

/** Busybox, in every node: for volumes to be made, and for tests that need just any pod. */
export const helperImage = "localhost/helper:1";

/**
 * What a node brings along: program, where it is in its image, and the name under which Kubernetes
 * asks for it.
 */
const bundled = [
  {
    program: "kube-apiserver",
    at: "/usr/local/bin",
    image: `registry.k8s.io/kube-apiserver:v${builtKubernetes.version}`,
  },
  {
    program: "kube-controller-manager",
    at: "/usr/local/bin",
    image: `registry.k8s.io/kube-controller-manager:v${builtKubernetes.version}`,
  },
  {
    program: "kube-scheduler",
    at: "/usr/local/bin",
    image: `registry.k8s.io/kube-scheduler:v${builtKubernetes.version}`,
  },
  {
    program: "kube-proxy",
    at: "/usr/local/bin",
    image: `registry.k8s.io/kube-proxy:v${builtKubernetes.version}`,
    with: "nft",
  },
  { program: "etcd", at: "/usr/local/bin", image: `registry.k8s.io/etcd:${builtKubernetes.etcd}` },
  {
    program: "coredns",
    at: "/",
    image: `registry.k8s.io/coredns/coredns:v${builtKubernetes.coredns}`,
    entrypoint: "/coredns",
  },
  { program: "pause", at: "/", image: `registry.k8s.io/pause:${builtKubernetes.pause}`, entrypoint: "/pause" },
  {
    program: "local-path-provisioner",
    at: "/usr/bin",
    image: `localhost/local-path-provisioner:v${versions.localPathProvisioner}`,
  },
  { program: undefined, at: "/bin", image: helperImage, with: "busybox" },
] as const;

/** Shell commands that write a tar of a Debian program with all it needs, run in the base image. */
const fromDebian = {
  // it lists protocols by name only with that file; kube-proxy would add tcp and then remove 6,
  // each hour and whenever it starts
  nft: "tar -C / -chf - /usr/sbin/nft /etc/protocols $(ldd /usr/sbin/nft | grep -o '/[^ ]*')",
  busybox:
    "cd /bin && for name in sh mkdir rm chmod; do ln -sf busybox /tmp/$name; done; tar --transform 's#^#bin/#S' -cf - busybox -C /tmp sh mkdir rm chmod",
} as const;

const nodeKey = () =>
  contentKey([
    recipe,
    programsKey(),
    packages.join(),
    JSON.stringify(bundled),
    missingCapabilities().join(),
    JSON.stringify(fromDebian),
    ...["Dockerfile", "storage.yaml"].map((file) => ({ file: join(sources, file) })),
  ]);

const baseTag = () => `${labName}/debian:${contentKey([packages.join(), versions.nodeSuite])}`;
const nodeTag = () => `${labName}/node:${nodeKey()}`;

/**
 * The image that names.ts starts from on a bare machine: Debian with BIND. Imported the first time.
 */
export async function bareNamesImage(progress: Progress): Promise<string> {
  return importBase(lines(await docker(["images", "--format", "{{.Repository}}:{{.Tag}}", `${labName}/*`])), progress);
}

/** Builds the node image of a bare machine the first time; returns its name. */
export async function bareNodeImage(progress: Progress): Promise<string> {
  const tag = nodeTag();
  const images = lines(await docker(["images", "--format", "{{.Repository}}:{{.Tag}}", `${labName}/*`]));
  if (images.includes(tag) && images.includes(baseTag()) && programsAreBuilt()) return tag;
  await buildPrograms(progress);
  const base = await importBase(images, progress);
  progress.step("node image", 20);
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
  return tag;
}

async function importBase(images: readonly string[], progress: Progress): Promise<string> {
  const base = baseTag();
  if (images.includes(base)) return base;
  // The cache is every lab's: another one must not remove the tarball while it is read here.
  const taken = join(cacheDir, "debian-import.lock");
  await withLock(
    async () => {
      const tarball = await debianBase(versions.nodeSuite, { include: packages, progress });
      await docker(["import", tarball, base]);
      rmSync(join(tarball, ".."), { recursive: true }); // the engine keeps it now
    },
    (pid) => progress.step(`Debian base: process ${pid} is at it`),
    taken,
  );
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
  const args = { BASE: base, VERSION: `v${builtKubernetes.version}`, PAUSE: builtKubernetes.pause };
  const buildArgs = Object.entries(args).flatMap(([name, value]) => ["--build-arg", `${name}=${value}`]);
  const plain = `${tag}-plain`;
  const dockerfile = (name: string) => ["-f", join(sources, name)];
  await docker(["build", "-q", ...buildArgs, "-t", plain, ...dockerfile("Dockerfile"), context], { log, env });

  for (const one of bundled) await bundle(one, base, draft);
  const names = bundled.map(({ image }) => image);
  await docker(["save", "-o", join(draft, "bundled.tar"), ...names], { log });

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
  await tryDocker(["rmi", plain, ...names]);
}

/** Makes one image of one program: a folder, a tar, `docker import`. */
async function bundle(one: (typeof bundled)[number], base: string, draft: string): Promise<void> {
  const root = join(draft, "image");
  mkdirSync(join(root, one.at), { recursive: true });
  if ("with" in one) {
    const tar = join(draft, "image.tar");
    const script = `(${fromDebian[one.with]}) > /out/image.tar`;
    await docker(["run", "--rm", "--network", "none", "-v", `${draft}:/out`, "--entrypoint", "sh", base, "-c", script]);
    await run(["tar", "-C", root, "-xf", tar]);
    rmSync(tar);
  }
  if (one.program) linkSync(join(programsDir(), one.program), join(root, one.at, one.program));
  const entrypoint = "entrypoint" in one ? one.entrypoint : undefined;
  const changes = [
    "ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin:/bin",
    ...(entrypoint ? [`ENTRYPOINT ["${entrypoint}"]`] : []),
  ];
  const archive = join(draft, "root.tar");
  await run(["tar", "-C", root, "--owner=0", "--group=0", "-cf", archive, "."]);
  await docker(["import", ...changes.flatMap((change) => ["--change", change]), archive, one.image]);
  rmSync(root, { recursive: true });
  rmSync(archive);
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

/**
 * Makes the helper image from the registry's busybox where there is a registry; the nodes have to
 * be given it.
 */
export async function pullHelperImage(): Promise<void> {
  if ((await tryDocker(["image", "inspect", helperImage])).code === 0) return;
  await docker(["pull", "-q", versions.busybox]);
  await docker(["tag", versions.busybox, helperImage]);
}

/** True for a node image without a network plugin of its own, as ours is. */
export async function lacksPodNetwork(image: string): Promise<boolean> {
  const label = '{{index .Config.Labels "chatmail.dev/pod-network"}}';
  const { stdout } = await tryDocker(["image", "inspect", "--format", label, image]);
  return stdout.trim() === "none";
}
