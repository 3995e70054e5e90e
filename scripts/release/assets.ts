/** What a release has beside its images; all of it names them by digest. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { gzipSync } from "node:zlib";
import { parseDocument, stringify } from "yaml";
import { crdOf } from "../../src/api/crd.ts";
import { kinds } from "../../src/api/kinds.ts";
import { installManifests } from "../../src/operator/manifests.ts";
import { kustomizationFiles } from "../chart/kustomization.ts";
import type { Package } from "../licences.ts";
import { filesIn, imagesIn, type Platform, type Stamp } from "./oci.ts";
import { sbomOf } from "./sbom.ts";
import { tarOf } from "./tar.ts";

export const imageNames = ["chatmail-operator", "chatmail-relay"] as const;
export type ImageName = (typeof imageNames)[number];
export const charts = ["chatmail-operator", "chatmail-servers"] as const;

export interface Release {
  version: string;
  /** Host and folder, such as ghcr.io/somebody. */
  registry: string;
  /** Of each image's index. */
  digests: Record<ImageName, string>;
  stamp: Stamp;
}

export interface Sources {
  /** Of the project. */
  root: string;
  /** Where everything is written. */
  folder: string;
  /** What each image has beside Debian's packages. */
  bundled: Record<ImageName, readonly Package[]>;
}

const namespace = "chatmail";
const dpkgStatus = "var/lib/dpkg/status";
const osRelease = "usr/lib/os-release";
const yaml = (...objects: unknown[]) =>
  objects.map((object) => stringify(object, { lineWidth: 0, aliasDuplicateObjects: false })).join("---\n");

/** REGISTRY/NAME:VERSION@DIGEST */
export const referenceOf = ({ registry, version, digests }: Omit<Release, "stamp">, name: ImageName) =>
  `${registry}/${name}:${version}@${digests[name]}`;

export const layoutFolder = (folder: string, name: ImageName) => join(folder, "images", name);

/**
 * Names without folders: the files of a release on GitHub lie beside each other, and `sha256sum
 * --check` looks for them there.
 */
export const sbomFile = (name: ImageName, { os, architecture }: Platform) => `${name}-${os}-${architecture}.spdx.json`;
export const chartFile = (chart: (typeof charts)[number], version: string) => `${chart}-${version}.tgz`;
/** npm's own name for it is that of the chart. */
export const packageFile = (version: string) => `chatmail-operator-npm-${version}.tgz`;

/** Writes all files; returns their paths in the folder. */
export function writeAssets(release: Release, sources: Sources): string[] {
  const { folder } = sources;
  const { version, stamp } = release;
  const files: Record<string, Buffer | string> = {};

  const install = yaml(
    ...kinds.map(crdOf),
    { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
    ...installManifests({
      namespace,
      operatorImage: referenceOf(release, "chatmail-operator"),
      relayImage: referenceOf(release, "chatmail-relay"),
      version,
    }),
  );
  files["install.yaml"] = install;
  const kustomization = kustomizationFiles(yaml, {
    folder: "chatmail-operator",
    resource: "install.yaml",
    // the file has their tags and digests
    places: Object.fromEntries(
      imageNames.map((name) => `${release.registry}/${name}`).map((name) => [name, { newName: name }]),
    ),
  });
  files["kustomization.tar.gz"] = packed(
    { ...kustomization, "chatmail-operator/install.yaml": install },
    stamp.epochSeconds,
  );
  for (const chart of charts)
    files[chartFile(chart, version)] = packed(chartFiles(sources, chart, release), stamp.epochSeconds);
  for (const name of imageNames) for (const [file, text] of sbomsOf(name, release, sources)) files[file] = text;

  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(folder, path, ".."), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
  return Object.keys(files);
}

const packed = (files: Record<string, Buffer | string>, epochSeconds: number) =>
  gzipSync(tarOf(files, epochSeconds), { level: 9 });

/** The files of a chart in CHART/, its values naming the images of the release. */
function chartFiles(
  { root, folder }: Sources,
  chart: (typeof charts)[number],
  release: Release,
): Record<string, Buffer | string> {
  const from = join(root, "charts", chart);
  const paths = readdirSync(from, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !/[.]tgz$|[.]DS_Store$/.test(entry.name))
    .map((entry) => relative(from, join(entry.parentPath, entry.name)));
  const files = Object.fromEntries(
    paths.map((path): [string, Buffer | string] => [`${chart}/${path}`, readFileSync(join(from, path))]),
  );
  if (chart !== "chatmail-operator") return files;
  const { registry, digests } = release;
  const places = { image: "chatmail-operator", relayImage: "chatmail-relay" } as const;
  const values = parseDocument(String(files[`${chart}/values.yaml`]));
  for (const [value, name] of Object.entries(places)) {
    values.setIn([value, "registry"], registry);
    values.setIn([value, "digest"], digests[name]);
  }
  files[`${chart}/values.yaml`] = values.toString({ lineWidth: 0 });
  const about = parseDocument(String(files[`${chart}/Chart.yaml`]));
  const images = imageNames.map((name) => ({
    name,
    image: referenceOf(release, name),
    platforms: imagesIn(layoutFolder(folder, name)).map(({ platform }) => `${platform.os}/${platform.architecture}`),
  }));
  about.setIn(["annotations", "artifacthub.io/images"], JSON.stringify(images, undefined, 1));
  files[`${chart}/Chart.yaml`] = about.toString({ lineWidth: 0 });
  return files;
}

function sbomsOf(name: ImageName, release: Release, { folder, root, bundled }: Sources): [string, string][] {
  const layout = layoutFolder(folder, name);
  const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as {
    packages: Record<string, { version?: string; integrity?: string }>;
  };
  return imagesIn(layout).map(({ platform, digest, manifest }) => {
    const files = filesIn(layout, manifest, (path) => path === dpkgStatus || path === osRelease);
    const text = (path: string) => {
      const content = files.get(path);
      if (!content) throw new Error(`${name}: no file ${path} in ${digest}`);
      return content.toString();
    };
    const sbom = sbomOf({
      image: `${release.registry}/${name}`,
      version: release.version,
      platform,
      digest,
      dpkgStatus: text(dpkgStatus),
      osRelease: text(osRelease),
      bundled: bundled[name],
      locked: lock.packages,
      epochSeconds: release.stamp.epochSeconds,
    });
    return [sbomFile(name, platform), `${JSON.stringify(sbom, undefined, 1)}\n`];
  });
}

const sha256 = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");

/** SHA256SUMS of all files that are attached to the release; layouts have digests of their own. */
export function writeSums(folder: string, paths: readonly string[]): void {
  const lines = [...paths].sort().map((path) => `${sha256(join(folder, path))}  ${path}\n`);
  writeFileSync(join(folder, "SHA256SUMS"), lines.join(""));
}

/** What is wrong with a release folder's sums. */
export function sumProblems(folder: string): string[] {
  return readFileSync(join(folder, "SHA256SUMS"), "utf8")
    .trim()
    .split("\n")
    .flatMap((line) => {
      const [sum = "", path = ""] = line.split("  ");
      if (!existsSync(join(folder, path))) return [`${path} is missing`];
      return sha256(join(folder, path)) === sum ? [] : [`${basename(path)} has other content`];
    });
}
