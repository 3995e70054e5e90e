/** Putting images into the nodes: from the lab's engine, or from a docker-archive file. */
import { spawn } from "node:child_process";
import { createReadStream, existsSync } from "node:fs";
import { pipeline } from "node:stream/promises";
import { messageOf } from "../../src/lib/text.ts";
import { nodeNames } from "./cluster.ts";
import { docker, engineEnv, tryDocker } from "./docker.ts";
import { LabError, run } from "./run.ts";

/** Nodes remember here which image is behind a name. */
const memory = "/kind/lab-images";

interface Source {
  /** Digest of the image's configuration, the same for an engine and an archive. */
  id: string;
  name: string;
  archive?: string;
}

/**
 * Makes an image of the engine (by name), or the first image of a docker-archive file, known to all
 * nodes; nothing where it is already.
 */
export async function loadImage(nameOrArchive: string): Promise<"loaded" | "present"> {
  const source = existsSync(nameOrArchive) ? await fromArchive(nameOrArchive) : await fromEngine(nameOrArchive);
  const nodes = await nodeNames();
  if (nodes.length === 0) throw new LabError("the lab has no node to load an image into; `npm run lab -- up` first");
  const results = await Promise.all(nodes.map((node) => loadInto(node, source)));
  return results.includes("loaded") ? "loaded" : "present";
}

async function fromEngine(name: string): Promise<Source> {
  const { code, stdout } = await tryDocker(["image", "inspect", "--format", "{{.Id}}", name]);
  if (code !== 0) throw new LabError(`the engine has no image ${name}, and there is no such file`);
  return { id: stdout.trim(), name };
}

async function fromArchive(archive: string): Promise<Source> {
  const text = await run(["tar", "-xOf", archive, "manifest.json"]);
  const [first] = JSON.parse(text) as { Config: string; RepoTags: string[] | null }[];
  const name = first?.RepoTags?.[0];
  if (!first || !name) throw new LabError(`${archive} holds no named image`);
  return { id: configId(first.Config), name, archive };
}

/**
 * "sha256:…" from the path of the configuration in an archive, in either of the two layouts in use.
 * Pure.
 */
export function configId(path: string): string {
  const digest = /[0-9a-f]{64}/.exec(path)?.[0] ?? path;
  return `sha256:${digest}`;
}

/** Full name as containerd keeps it. Pure. */
export function fullName(name: string): string {
  const [first = ""] = name.split("/");
  const hasHost = name.includes("/") && (/[.:]/.test(first) || first === "localhost");
  const hosted = hasHost ? name : `docker.io/${name.includes("/") ? name : `library/${name}`}`;
  return /[:@]/.test(hosted.slice(hosted.lastIndexOf("/"))) ? hosted : `${hosted}:latest`;
}

async function loadInto(node: string, source: Source): Promise<"loaded" | "present"> {
  const file = `${memory}/${fullName(source.name).replace(/[^A-Za-z0-9._-]/g, "_")}`;
  const present = `[ "$(cat ${file} 2>/dev/null)" = ${source.id} ] && ctr -n k8s.io images ls -q name==${fullName(source.name)} | grep -q .`;
  if ((await tryDocker(["exec", node, "sh", "-c", present])).code === 0) return "present";
  const load = ["ctr", "-n", "k8s.io", "images", "import", "--all-platforms", "--digests", "-"];
  await stream(source, ["exec", "-i", node, ...load]);
  await docker(["exec", node, "sh", "-c", `mkdir -p ${memory} && echo ${source.id} > ${file}`]);
  return "loaded";
}

async function stream(source: Source, into: readonly string[]): Promise<void> {
  const env = { ...process.env, ...engineEnv() };
  const sink = spawn("docker", into, { env, stdio: ["pipe", "ignore", "pipe"] });
  let said = "";
  sink.stderr.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  const ended = new Promise<number>((resolve, reject) => {
    sink.on("error", reject);
    sink.on("close", (code) => resolve(code ?? 1));
  });
  const bytes = source.archive
    ? createReadStream(source.archive)
    : spawn("docker", ["save", source.name], { env, stdio: ["ignore", "pipe", "inherit"] }).stdout;
  // ctr reads no further than the end of the archive: what is left after it may find nobody.
  const unsent = await pipeline(bytes, sink.stdin).catch(messageOf);
  if ((await ended) === 0) return;
  throw new LabError(`${source.name} could not be loaded: ${said.trim() || unsent || "ctr does not say why"}`);
}
