/**
 * `npm run build`: bundles each process into one file, dist/NAME.js with its source map, and puts node beside them.
 * dist/ and image/ are all that the images are made from.
 */
import { chmodSync, copyFileSync, existsSync, mkdirSync, rmSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

const root = join(import.meta.dirname, "..");
export const dist = join(root, "dist");

/** Processes of ours: `src/main/NAME.ts` → `dist/NAME.js`. */
export const processes = ["operator", "relay", "expire"] as const;

/** Builds all of them. Throws with the names of those that have no source. */
export async function buildAll(): Promise<void> {
  const missing = processes.filter((name) => !existsSync(source(name)));
  if (missing.length > 0) throw new Error(`no source for ${missing.join(", ")}: ${missing.map(source).join(", ")}`);
  mkdirSync(dist, { recursive: true });
  for (const name of processes) {
    // file by file: what both processes share is in both, so each image has no more than it runs
    await build({
      entryPoints: [source(name)],
      outfile: join(dist, `${name}.js`),
      bundle: true,
      platform: "node",
      target: "node24",
      format: "cjs",
      sourcemap: true,
      sourcesContent: true,
      legalComments: "none",
      logLevel: "warning",
    });
  }
  putNode();
}

const source = (name: string) => join(root, "src/main", `${name}.ts`);

/** The node of the package lock, the same that tests run with: no other source of programs is needed. */
function putNode() {
  const from = join(root, "node_modules/node/bin/node");
  const to = join(dist, "node");
  const { size, mtime } = statSync(from);
  const there = existsSync(to) ? statSync(to) : undefined;
  if (there?.size === size && there.mtimeMs === mtime.getTime()) return;
  rmSync(to, { force: true });
  copyFileSync(from, to);
  chmodSync(to, 0o755);
  utimesSync(to, mtime, mtime);
}

if (import.meta.main) {
  await buildAll();
  for (const name of processes) {
    const kilobytes = Math.round(statSync(join(dist, `${name}.js`)).size / 1000);
    console.log(`dist/${name}.js  ${kilobytes} kB`);
  }
}
