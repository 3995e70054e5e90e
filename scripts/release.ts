/**
 * `npm run release -- --dry-run`: everything of a release that needs no registry, in dist/release.
 * Without --dry-run the same, and then it is pushed: .github/workflows/release.yml does that.
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { architectureOf, architectures, ownArchitecture } from "../test/lab/emulation.ts";
import { terminalProgress } from "../test/lab/progress.ts";
import { run } from "../test/lab/run.ts";
import { bundledPackages, dist } from "./build.ts";
import { buildImagesFor, type Images, inside } from "./images.ts";
import { readOptions, refuse } from "./options.ts";
import { imageNames, layoutFolder, packageFile, type Release, writeAssets, writeSums } from "./release/assets.ts";
import { imagesIn, layoutOfArchive, mergeLayouts, type Stamp } from "./release/oci.ts";
import { publishCommands } from "./release/publish.ts";
import { releaseProblems } from "./release/verify.ts";

const root = resolve(import.meta.dirname, "..");
const usage =
  "npm run release -- [--dry-run] [--registry HOST/FOLDER] [--platforms amd64,arm64] [--url https://…/vVERSION]";
const { values } = readOptions(usage, {
  options: {
    "dry-run": { type: "boolean", default: false },
    registry: { type: "string" },
    platforms: { type: "string", default: Object.keys(architectures).join(",") },
    url: { type: "string" },
  },
});
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };

const repository = process.env.GITHUB_REPOSITORY?.toLowerCase();
const registry = values.registry ?? (repository ? `ghcr.io/${repository}` : "registry.example/chatmail");
const url =
  values.url ?? `https://github.com/${repository ?? "example/chatmail-operator"}/releases/download/v${version}`;
if (!values["dry-run"] && values.registry === undefined && !repository)
  refuse("without --dry-run a release needs --registry", usage);
const tag = process.env.GITHUB_REF_TYPE === "tag" ? process.env.GITHUB_REF_NAME : undefined;
if (tag !== undefined && tag !== `v${version}`) refuse(`the tag ${tag} is not v${version} of package.json`, usage);
const platforms = values.platforms.split(",").map((name) => architectureOf(name, usage));
// this machine's first: what is broken is found before the slow one begins
platforms.sort((one) => (one === ownArchitecture() ? -1 : 1));

const progress = terminalProgress();
const commit = await run(["git", "-C", root, "rev-parse", "HEAD"]);
const stamp: Stamp = {
  epochSeconds: Number(process.env.SOURCE_DATE_EPOCH ?? (await run(["git", "-C", root, "log", "-1", "--format=%ct"]))),
  labels: {
    "org.opencontainers.image.licenses": "Apache-2.0",
    "org.opencontainers.image.revision": commit,
    "org.opencontainers.image.version": version,
    ...(repository && { "org.opencontainers.image.source": `https://github.com/${repository}` }),
  },
};

const folder = join(dist, "release");
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
const drafts = mkdtempSync(join(dist, "release-draft-"));
try {
  const layouts: Record<(typeof imageNames)[number], string[]> = { "chatmail-operator": [], "chatmail-relay": [] };
  for (const architecture of platforms) {
    const draft = join(drafts, architecture);
    mkdirSync(draft, { recursive: true });
    const images = await buildImagesFor(architecture, { folder: draft, progress });
    for (const name of imageNames) {
      const { archive } = images[name.replace("chatmail-", "") as keyof Images];
      const unpacked = join(draft, `${name}-archive`);
      mkdirSync(unpacked);
      progress.step(`layout of ${name} for ${architecture}`);
      await run(["tar", "-xf", archive, "-C", unpacked]);
      const layout = join(draft, `${name}-layout`);
      layoutOfArchive(unpacked, layout, { os: "linux", architecture }, stamp);
      rmSync(unpacked, { recursive: true });
      layouts[name].push(layout);
    }
  }
  const digestOf = (name: (typeof imageNames)[number]) =>
    mergeLayouts(layouts[name], layoutFolder(folder, name), version, stamp).digest;
  const release: Release = {
    version,
    registry,
    stamp,
    digests: { "chatmail-operator": digestOf("chatmail-operator"), "chatmail-relay": digestOf("chatmail-relay") },
  };
  const bundled = {
    "chatmail-operator": await bundledPackages(inside.operator),
    "chatmail-relay": await bundledPackages(inside.relay),
  };
  const files = writeAssets(release, { root, folder, bundled });

  progress.step("npm package");
  const printed = await run(["npm", "pack", "--silent", "--pack-destination", drafts], { cwd: root });
  cpSync(join(drafts, printed.split("\n").at(-1) ?? ""), join(folder, packageFile(version)));
  files.push(packageFile(version));
  // `kubectl chatmail` and the manifest by which krew installs it
  const plugin = join(root, "scripts/plugin.ts");
  if (existsSync(plugin)) {
    await run([process.execPath, plugin, "--url", `${url}/kubectl-chatmail.tar.gz`]);
    for (const [from, to] of Object.entries({
      "kubectl-chatmail.tar.gz": "kubectl-chatmail.tar.gz",
      "chatmail.yaml": "krew.yaml",
    })) {
      cpSync(join(dist, "plugin", from), join(folder, to));
      files.push(to);
    }
  }
  const about = { version, registry, commit, digests: release.digests, platforms, files };
  writeFileSync(join(folder, "release.json"), `${JSON.stringify(about, undefined, 1)}\n`);
  writeSums(folder, [...files, "release.json"]);
  const problems = releaseProblems(folder, platforms);
  if (problems.length > 0) throw new Error(`the release is not right:\n  ${problems.join("\n  ")}`);

  const commands = publishCommands(
    release,
    {
      "chatmail-operator": imagesIn(layoutFolder(folder, "chatmail-operator")),
      "chatmail-relay": imagesIn(layoutFolder(folder, "chatmail-relay")),
    },
    folder,
  );
  if (values["dry-run"]) {
    progress.done(`dist/release of ${version} is complete; it would be published by`);
    for (const command of commands) console.log(`  ${command.join(" ")}`);
  } else for (const command of commands) await run(command);
} finally {
  rmSync(drafts, { recursive: true, force: true });
}
