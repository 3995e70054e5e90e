/** Whether a release folder holds together: what a person would check before publishing it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { parse, parseAllDocuments } from "yaml";
import { chartFile, type ImageName, imageNames, layoutFolder, referenceOf, sbomFile, sumProblems } from "./assets.ts";
import { filesIn, imagesIn, layoutProblems } from "./oci.ts";
import { debianPackages } from "./sbom.ts";
import { entriesOf } from "./tar.ts";

interface About {
  version: string;
  registry: string;
  digests: Record<ImageName, string>;
}

interface Deployment {
  kind: string;
  spec: { template: { spec: { containers: { image: string; env: { name: string; value?: string }[] }[] } } };
}

/** Sentences; none where all is right. */
export function releaseProblems(folder: string, platforms: readonly string[]): string[] {
  const about = JSON.parse(readFileSync(join(folder, "release.json"), "utf8")) as About;
  return [
    ...imageNames.flatMap((name) => imageProblems(folder, name, about, platforms)),
    ...installProblems(folder, about),
    ...chartProblems(folder, about),
    ...sumProblems(folder),
  ];
}

function imageProblems(folder: string, name: ImageName, about: About, platforms: readonly string[]): string[] {
  const layout = layoutFolder(folder, name);
  const problems = layoutProblems(layout).map((problem) => `${name}: ${problem}`);
  if (problems.length > 0) return problems;
  const index = JSON.parse(readFileSync(join(layout, "index.json"), "utf8")) as { manifests: { digest: string }[] };
  if (index.manifests[0]?.digest !== about.digests[name]) problems.push(`${name}: its index has another digest`);
  const images = imagesIn(layout);
  const there = images.map(({ platform }) => platform.architecture).sort();
  const [has, needs] = [there, [...platforms].sort()].map((each) => each.join());
  if (has !== needs) problems.push(`${name} is for ${has}, not for ${needs}`);
  for (const { platform, manifest } of images) {
    const file = sbomFile(name, platform);
    const sbom = JSON.parse(readFileSync(join(folder, file), "utf8")) as {
      packages: { name: string; versionInfo: string }[];
    };
    const listed = new Set(sbom.packages.flatMap((each) => [each.name, `${each.name} ${each.versionInfo}`]));
    const files = filesIn(layout, manifest, (path) => path === "var/lib/dpkg/status" || ours.test(path));
    const held = [
      ...debianPackages(files.get("var/lib/dpkg/status")?.toString() ?? "").map(
        (each) => `${each.name} ${each.version}`,
      ),
      ...bundledIn([...files].filter(([path]) => ours.test(path)).map(([, content]) => content.toString())),
    ];
    if (held.length < 30) problems.push(`${name}: only ${held.length} packages were found in it`);
    problems.push(...held.filter((each) => !listed.has(each)).map((each) => `${file} lacks ${each}`));
  }
  return problems;
}

const ours = /^opt[/]chatmail[/].*[.]js([.]map)?$/;

/** Names of npm packages that bundles and their source maps say they are made from. */
const bundledIn = (texts: readonly string[]) => [
  ...new Set(
    texts.flatMap((text) =>
      [...text.matchAll(/(?:"|\/\/ )[./]*node_modules\/((?:@[\w.-]+\/)?[\w.-]+)\//g)].map(([, name = ""]) => name),
    ),
  ),
];

function installProblems(folder: string, about: About): string[] {
  const text = readFileSync(join(folder, "install.yaml"), "utf8");
  const objects = parseAllDocuments(text).map((document) => document.toJS() as Deployment);
  const [container] = objects.find(({ kind }) => kind === "Deployment")?.spec.template.spec.containers ?? [];
  const relay = container?.env.find(({ name }) => name === "RELAY_IMAGE")?.value;
  const wrong = [
    ...(container?.image === referenceOf(about, "chatmail-operator")
      ? []
      : [`the operator's image ${container?.image}`]),
    ...(relay === referenceOf(about, "chatmail-relay") ? [] : [`the relay's image ${relay}`]),
  ];
  return wrong.map((what) => `install.yaml names ${what}`);
}

function chartProblems(folder: string, about: About): string[] {
  const archive = gunzipSync(readFileSync(join(folder, chartFile("chatmail-operator", about.version))));
  const entry = [...entriesOf(archive)].find(({ path }) => path === "chatmail-operator/values.yaml");
  const values = parse(entry?.content.toString() ?? "") as Record<string, Record<string, string>>;
  const names: Record<string, ImageName> = { image: "chatmail-operator", relayImage: "chatmail-relay" };
  return Object.entries(names).flatMap(([value, name]) => {
    const { registry, repository, digest } = values[value] ?? {};
    const isRight = registry === about.registry && repository === name && digest === about.digests[name];
    return isRight ? [] : [`the chart's ${value} is ${registry}/${repository}@${digest}`];
  });
}
