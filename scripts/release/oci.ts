/**
 * Image layouts (OCI image-spec 1.1): a folder with oci-layout, index.json and blobs. An image that
 * was built becomes one for its platform, and several of these one index, without a registry.
 */
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { entriesOf, withTimes } from "./tar.ts";

export interface Platform {
  os: "linux";
  architecture: "amd64" | "arm64";
}

export interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
  platform?: Platform;
  annotations?: Record<string, string>;
}

interface Index {
  schemaVersion: 2;
  mediaType: string;
  manifests: Descriptor[];
  annotations?: Record<string, string>;
}

export interface Manifest {
  schemaVersion: 2;
  mediaType: string;
  config: Descriptor;
  layers: Descriptor[];
  annotations?: Record<string, string>;
}

interface Config {
  architecture: string;
  os: string;
  created?: string;
  config?: Record<string, unknown>;
  history?: { created?: string }[];
  rootfs: { type: "layers"; diff_ids: string[] };
}

const mediaTypes = {
  index: "application/vnd.oci.image.index.v1+json",
  manifest: "application/vnd.oci.image.manifest.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  layer: "application/vnd.oci.image.layer.v1.tar+gzip",
} as const;

export const digestOf = (bytes: Buffer | string) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
const blobPath = (layout: string, digest: string) => join(layout, "blobs", ...digest.split(":"));
const platformName = ({ os, architecture }: Platform) => `${os}/${architecture}`;

function putBlob(layout: string, bytes: Buffer, mediaType: string): Descriptor {
  const digest = digestOf(bytes);
  const path = blobPath(layout, digest);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, bytes);
  return { mediaType, digest, size: bytes.length };
}

const json = (value: unknown) => Buffer.from(JSON.stringify(value));

function readJson<T>(layout: string, { digest }: Pick<Descriptor, "digest">): T {
  return JSON.parse(readFileSync(blobPath(layout, digest), "utf8")) as T;
}

function emptyLayout(layout: string) {
  rmSync(layout, { recursive: true, force: true });
  mkdirSync(join(layout, "blobs/sha256"), { recursive: true });
  writeFileSync(join(layout, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
}

const writeIndex = (layout: string, manifests: Descriptor[]) =>
  writeFileSync(
    join(layout, "index.json"),
    JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.index, manifests } satisfies Index),
  );

export interface Stamp {
  /** No file of a layer, and no image, is younger: two builds differ in nothing but content. */
  epochSeconds: number;
  labels: Record<string, string>;
}

/**
 * The image of a `docker save` archive (unpacked in FOLDER) as a layout of its own: layers
 * compressed, times not later than the stamp's. Returns its manifest's descriptor.
 */
export function layoutOfArchive(folder: string, layout: string, platform: Platform, stamp: Stamp): Descriptor {
  emptyLayout(layout);
  const [saved] = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8")) as {
    Config: string;
    Layers: string[];
  }[];
  if (!saved) throw new Error(`${folder} holds no image`);
  const config = JSON.parse(readFileSync(join(folder, saved.Config), "utf8")) as Config;
  if (config.architecture !== platform.architecture || config.os !== platform.os)
    throw new Error(`${folder} is an image for ${config.os}/${config.architecture}, not ${platformName(platform)}`);
  const layers: Descriptor[] = [];
  const diffIds: string[] = [];
  for (const name of saved.Layers) {
    const bytes = readFileSync(join(folder, name));
    const tar = withTimes(isGzip(bytes) ? gunzipSync(bytes) : bytes, stamp.epochSeconds);
    diffIds.push(digestOf(tar));
    layers.push(putBlob(layout, gzipSync(tar, { level: 6 }), mediaTypes.layer));
  }
  const created = new Date(stamp.epochSeconds * 1_000).toISOString().replace(".000", "");
  const { architecture, os } = config;
  const stamped: Config = {
    created,
    architecture,
    os,
    config: { ...config.config, Labels: stamp.labels },
    rootfs: { type: "layers", diff_ids: diffIds },
    history: (config.history ?? []).map((line) => ({ ...line, created })),
  };
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: putBlob(layout, json(stamped), mediaTypes.config),
    layers,
    annotations: stamp.labels,
  };
  const descriptor = { ...putBlob(layout, json(manifest), mediaTypes.manifest), platform };
  writeIndex(layout, [descriptor]);
  return descriptor;
}

const isGzip = (bytes: Buffer) => bytes[0] === 0x1f && bytes[1] === 0x8b;

/** One image for several platforms, from a layout of each. Returns the index's descriptor. */
export function mergeLayouts(layouts: readonly string[], into: string, tag: string, stamp: Stamp): Descriptor {
  emptyLayout(into);
  const manifests: Descriptor[] = [];
  for (const layout of layouts) {
    const { manifests: own } = JSON.parse(readFileSync(join(layout, "index.json"), "utf8")) as Index;
    manifests.push(...own);
    for (const name of readdirSync(join(layout, "blobs/sha256")))
      copyFileSync(join(layout, "blobs/sha256", name), join(into, "blobs/sha256", name));
  }
  const names = manifests.map(({ platform }) => (platform ? platformName(platform) : "none"));
  if (new Set(names).size !== names.length || names.includes("none"))
    throw new Error(`an index needs one manifest for each platform, and these have ${names.join(", ")}`);
  manifests.sort((one, other) => ((one.platform?.architecture ?? "") < (other.platform?.architecture ?? "") ? -1 : 1));
  const index: Index = {
    schemaVersion: 2,
    mediaType: mediaTypes.index,
    manifests,
    annotations: stamp.labels,
  };
  const descriptor = putBlob(into, json(index), mediaTypes.index);
  writeIndex(into, [{ ...descriptor, annotations: { "org.opencontainers.image.ref.name": tag } }]);
  return descriptor;
}

export interface ImageOf {
  platform: Platform;
  manifest: Manifest;
  digest: string;
}

/** The platforms of a merged layout, with their manifests. */
export function imagesIn(layout: string): ImageOf[] {
  const { manifests } = JSON.parse(readFileSync(join(layout, "index.json"), "utf8")) as Index;
  const [top] = manifests;
  if (!top || top.mediaType !== mediaTypes.index) throw new Error(`${layout} has no index of platforms`);
  return readJson<Index>(layout, top).manifests.map(({ platform, digest }) => {
    if (!platform) throw new Error(`${layout}: ${digest} has no platform`);
    return { platform, digest, manifest: readJson<Manifest>(layout, { digest }) };
  });
}

/** What is wrong with a layout: blobs that are missing, changed, or that nothing names. */
export function layoutProblems(layout: string): string[] {
  const problems: string[] = [];
  const named = new Set<string>();
  const check = (descriptor: Descriptor): Buffer | undefined => {
    named.add(descriptor.digest);
    const path = blobPath(layout, descriptor.digest);
    if (!existsSync(path)) {
      problems.push(`${descriptor.digest} is missing`);
      return undefined;
    }
    const bytes = readFileSync(path);
    if (digestOf(bytes) !== descriptor.digest) {
      problems.push(`${descriptor.digest} has other content`);
      return undefined;
    }
    if (bytes.length !== descriptor.size) problems.push(`${descriptor.digest} is not ${descriptor.size} bytes long`);
    return bytes;
  };
  const parsed = <T>(bytes: Buffer | undefined) => (bytes ? (JSON.parse(bytes.toString()) as T) : undefined);
  const { manifests } = JSON.parse(readFileSync(join(layout, "index.json"), "utf8")) as Index;
  for (const top of manifests)
    for (const descriptor of parsed<Index>(check(top))?.manifests ?? []) {
      const manifest = parsed<Manifest>(check(descriptor));
      if (!manifest) continue;
      const config = parsed<Config>(check(manifest.config));
      if (config && config.architecture !== descriptor.platform?.architecture)
        problems.push(`${descriptor.digest} is for ${config.architecture}, and the index says otherwise`);
      for (const [at, layer] of manifest.layers.entries()) {
        const bytes = check(layer);
        if (bytes && config && digestOf(gunzipSync(bytes)) !== config.rootfs.diff_ids[at])
          problems.push(`${layer.digest} is not the layer ${at} that its configuration names`);
      }
    }
  const there = readdirSync(join(layout, "blobs/sha256")).map((name) => `sha256:${name}`);
  problems.push(...there.filter((digest) => !named.has(digest)).map((digest) => `nothing names ${digest}`));
  return problems;
}

/** Files as the image has them, by path: later layers replace or remove what earlier ones have. */
export function filesIn(
  layout: string,
  { layers }: Pick<Manifest, "layers">,
  isWanted: (path: string) => boolean,
): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  for (const layer of layers)
    for (const { path, type, content } of entriesOf(gunzipSync(readFileSync(blobPath(layout, layer.digest))))) {
      const removed = path.replace(/(^|[/])[.]wh[.](?=[^/]*$)/, "$1");
      if (removed !== path) files.delete(removed);
      else if (type === "file" && isWanted(path)) files.set(path, Buffer.from(content));
    }
  return files;
}
