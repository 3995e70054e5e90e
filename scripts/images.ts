/**
 * `npm run images`: builds the operator's and the relay's image, with Docker where an engine
 * reaches a registry, else with Debian's buildah on a Debian that debootstrap made. Both end as
 * archives for `kind load image-archive` or `docker load`, kept by the hash of what went in: an
 * unchanged tree costs a second.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { debianBase } from "../test/lab/base-image.ts";
import { cached, contentKey, isCached } from "../test/lab/cache.ts";
import { type Architecture, ownArchitecture, withEmulation } from "../test/lab/emulation.ts";
import { findProvider } from "../test/lab/engine.ts";
import { withLock } from "../test/lab/lock.ts";
import { needPackages } from "../test/lab/packages.ts";
import { cacheDir, imageLock, imageRunDir, isRoot } from "../test/lab/place.ts";
import { type Progress, terminalProgress } from "../test/lab/progress.ts";
import { LabError, run, tryRun } from "../test/lab/run.ts";
import { buildAll, type bundles, dist, licencesFile, nodeHeaders } from "./build.ts";
import { putNodeFor } from "./node-for.ts";
import { readOptions } from "./options.ts";

export interface Image {
  /** As `image:` in a pod names it; not in any registry, so with imagePullPolicy IfNotPresent. */
  name: string;
  /** A tar that `docker load` and `kind load image-archive` take. */
  archive: string;
}

export interface Images {
  operator: Image;
  relay: Image;
}

type Target = keyof Images;

const root = join(import.meta.dirname, "..");
const log = join(cacheDir, "log", "images.log");
/** What `buildImages` gave last. */
const last = join(dist, "images.json");
/** Raised when what is done below changes. */
const recipe = "2";

/** Which bundles each image has. */
export const inside: Record<Target, readonly (keyof typeof bundles)[]> = {
  operator: ["operator"],
  relay: ["relay", "relay-hash", "expire", "users", "import", "move", "backup", "render"],
};

export async function buildImages(options: { progress?: Progress } = {}): Promise<Images> {
  const progress = options.progress ?? terminalProgress();
  await buildAll();
  const waiting = (pid: number) => progress.step(`waiting for another build of images (process ${pid})`);
  const images = await withLock(() => buildBoth(progress), waiting, imageLock);
  writeFileSync(last, JSON.stringify(images));
  return images;
}

/** The relay's alone, for who runs no operator. */
export async function buildRelayImage(progress: Progress): Promise<Image> {
  await buildAll();
  const waiting = (pid: number) => progress.step(`waiting for another build of images (process ${pid})`);
  return withLock(() => buildImage("relay", progress), waiting, imageLock);
}

/** One after the other: the second finds the layers that both share. */
async function buildBoth(progress: Progress): Promise<Images> {
  const operator = await buildImage("operator", progress);
  const relay = await buildImage("relay", progress);
  return { operator, relay };
}

/**
 * The images of the last `buildImages` in this checkout, whatever the tree looks like now: for
 * those who can't build, such as tests in the lab's network, which the runner starts after it has
 * built.
 */
export function lastImages(): Images {
  if (!existsSync(last)) throw new LabError("no images have been built yet: npm run images");
  return JSON.parse(readFileSync(last, "utf8")) as Images;
}

function identityOf(target: Target) {
  const key = keyOf(target);
  // the content is in the name, so a pod of other content is another pod
  return { name: `chatmail-${target}:dev-${key}`, entry: `image-${target}`, key };
}

async function buildImage(target: Target, progress: Progress): Promise<Image> {
  const { name, entry, key } = identityOf(target);
  if (!isCached(entry, key)) progress.step(`image ${name}`, 30);
  const folder = await cached(entry, key, async (draft) => {
    await buildFrom(root, { target, name, archive: join(draft, "image.tar"), progress });
  });
  removeOthers(entry, folder);
  return { name, archive: join(folder, "image.tar") };
}

interface Build {
  target: Target;
  /** By default that of this machine. */
  architecture?: Architecture | undefined;
  name: string;
  /** The file that is written. */
  archive: string;
  progress: Progress;
}

/** From a folder with a Dockerfile, dist/ and image/. */
async function buildFrom(context: string, build: Build): Promise<void> {
  if (!(await buildWithDocker(context, build))) await buildWithBuildah(context, build);
}

/**
 * Both images of another checkout, under these tags: the layers that are as in this one are made
 * once.
 */
export async function buildImagesOf(
  context: string,
  options: { tag: string; folder: string; progress: Progress; architecture?: Architecture },
): Promise<Images> {
  const { tag, folder, progress, architecture } = options;
  const waiting = (pid: number) => progress.step(`waiting for another build of images (process ${pid})`);
  const build = async (target: Target) => {
    const name = `chatmail-${target}:${tag}`;
    progress.step(`image ${name}`, 15);
    const archive = join(folder, `${target}.tar`);
    await buildFrom(context, { target, name, archive, progress, architecture });
    return { name, archive };
  };
  return withLock(async () => ({ operator: await build("operator"), relay: await build("relay") }), waiting, imageLock);
}

/**
 * Both images for a processor. For another one than this machine's they are built under emulation,
 * which is slow.
 */
export async function buildImagesFor(
  architecture: Architecture,
  options: { folder: string; progress: Progress },
): Promise<Images> {
  const { folder, progress } = options;
  if (architecture === ownArchitecture()) return buildImages({ progress });
  const context = await contextFor(architecture, folder);
  const tag = tagFor(architecture);
  return withEmulation(architecture, () => buildImagesOf(context, { tag, folder, progress, architecture }));
}

/** The relay's alone for another processor; kept, as it is slow to build. */
export async function buildRelayImageFor(architecture: Architecture, progress: Progress): Promise<Image> {
  if (architecture === ownArchitecture()) return buildRelayImage(progress);
  await buildAll();
  const target = "relay";
  const name = `chatmail-${target}:${tagFor(architecture)}`;
  const waiting = (pid: number) => progress.step(`waiting for another build of images (process ${pid})`);
  const build = async (draft: string) => {
    const context = await contextFor(architecture, draft);
    progress.step(`image ${name}, under emulation`, 320);
    const archive = join(draft, "image.tar");
    await withEmulation(architecture, () => buildFrom(context, { target, name, archive, progress, architecture }));
    rmSync(context, { recursive: true });
  };
  const folder = await withLock(
    () => cached(`image-${target}-${architecture}`, contentKey([keyOf(target), architecture]), build),
    waiting,
    imageLock,
  );
  return { name, archive: join(folder, "image.tar") };
}

const tagFor = (architecture: Architecture) => `dev-${contentKey([keyOf("relay"), architecture])}`;

/** A folder to build from that has node for this processor. */
async function contextFor(architecture: Architecture, folder: string): Promise<string> {
  await buildAll();
  const context = join(folder, "context");
  mkdirSync(join(context, "dist"), { recursive: true });
  for (const name of ["Dockerfile", "image"]) cpSync(join(root, name), join(context, name), { recursive: true });
  for (const name of readdirSync(dist))
    if (/[.](js|map|json|txt)$/.test(name)) cpSync(join(dist, name), join(context, "dist", name));
  cpSync(join(dist, nodeHeaders), join(context, "dist", nodeHeaders), { recursive: true });
  await putNodeFor(architecture, join(context, "dist/node"));
  return context;
}

/** All that can change the image, except what Debian's mirrors hold. */
function keyOf(target: Target): string {
  const filesIn = (folder: string) => readdirSync(folder).map((file) => join(folder, file));
  const files = [
    join(root, "Dockerfile"),
    ...inside[target].map((bundle) => join(dist, `${bundle}.js`)),
    join(dist, licencesFile),
    ...filesIn(join(root, "image")),
    ...(target === "relay" ? filesIn(join(dist, nodeHeaders)) : []),
  ];
  // relative names and the version of node: another checkout of the same commit finds the same
  // images
  return contentKey([target, recipe, process.version, ...files.flatMap((file) => [relative(root, file), { file }])]);
}

/** False where there is no engine, or one that can't pull the base image. */
async function buildWithDocker(context: string, { target, name, archive, architecture }: Build): Promise<boolean> {
  if ((await findProvider()) !== "docker") return false;
  const platform = architecture ? ["--platform", `linux/${architecture}`] : [];
  const built = await tryRun(["docker", "build", ...platform, "--target", target, "-t", name, context], { log });
  if (built.code !== 0) {
    if (isRoot && /pull|resolve|manifest|registry|lookup|dial tcp/i.test(built.stderr)) return false;
    throw new LabError(`docker build failed\n  ${built.stderr.trim().slice(-600)}\n  full log: ${log}`);
  }
  await run(["docker", "save", "-o", archive, name], { log });
  return true;
}

/** A storage of its own: nothing of the machine's containers is seen or touched. */
const buildah = (args: readonly string[]) =>
  run(["buildah", "--root", join(cacheDir, "buildah"), "--runroot", imageRunDir, ...args], { log });

async function buildWithBuildah(
  context: string,
  { target, name, archive, progress, architecture }: Build,
): Promise<void> {
  if (!isRoot) throw new LabError("images need a Docker engine that reaches a registry, or root on Debian");
  await needPackages(["buildah"], log);
  const given = { BASE: await importBase(progress, architecture) };
  const tools = architecture && { TOOLS: await importBase(progress, ownArchitecture(), architecture) };
  const args = Object.entries({ ...given, ...tools, ...(architecture && { PROCESSOR: architecture }) });
  // isolation chroot: needs no runtime and has the host's network, where the package mirrors are
  const how = ["--layers", "--pull-never", "--isolation", "chroot"];
  how.push(...args.flatMap(([name, value]) => ["--build-arg", `${name}=${value}`]));
  if (architecture) how.push("--arch", architecture);
  const id = await buildah(["bud", "--quiet", ...how, "--target", target, context]);
  await buildah(["push", "--quiet", id, `docker-archive:${archive}:docker.io/library/${name}`]);
}

/**
 * `told`: the processor that the image's configuration names. A build for one finds no image for
 * another.
 */
async function importBase(
  progress: Progress,
  architecture: Architecture | undefined,
  told = architecture,
): Promise<string> {
  const tarball = await debianBase("trixie", { progress, architecture });
  const name = `localhost/debian:${contentKey([tarball, ...(told && told !== architecture ? [told] : [])])}`;
  const there = await buildah(["images", "--quiet", "--filter", `reference=${name}`]);
  if (there !== "") return name;
  const container = await buildah(["from", "scratch"]);
  await buildah(["add", "--quiet", container, tarball, "/"]);
  if (told) await buildah(["config", "--arch", told, container]);
  await buildah(["commit", "--quiet", "--rm", container, name]);
  return name;
}

/** Archives are large; one that was in use an hour ago may still be being read. */
function removeOthers(entry: string, keep: string) {
  const old = Date.now() - 3_600_000;
  for (const file of readdirSync(cacheDir)) {
    const path = join(cacheDir, file);
    const own = new RegExp(`^${entry}-[0-9a-f]{16}$`);
    if (own.test(file) && path !== keep && statSync(path).mtimeMs < old) rmSync(path, { recursive: true });
  }
}

if (import.meta.main) {
  readOptions("npm run images", {});
  const progress = terminalProgress();
  const images = await buildImages({ progress });
  for (const { name, archive } of Object.values(images) as Image[]) {
    progress.done(`${name}  ${Math.round(statSync(archive).size / 1e6)} MB  ${archive}`);
  }
}
