/**
 * `npm run build`: bundles each process into one file, dist/NAME.js with its source map, and puts
 * node beside them. dist/ and image/ are all that the images are made from.
 */
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type BuildOptions, build, type Metafile, type Plugin } from "esbuild";
import { licenceTexts, nodePackage, type Package, packagesIn } from "./licences.ts";
import { readOptions } from "./options.ts";

const root = join(import.meta.dirname, "..");
export const dist = join(root, "dist");

/**
 * `dist/NAME.js` and what it is made from: our processes, and the worker thread that one of them
 * starts.
 */
export const bundles = {
  operator: "src/main/operator.ts",
  relay: "src/main/relay.ts",
  "relay-hash": "src/relay/accounts/hash-worker.ts",
  expire: "src/main/expire.ts",
  backup: "src/main/backup.ts",
  users: "src/main/users.ts",
  import: "src/main/import.ts",
  move: "src/main/move.ts",
  render: "src/main/render.ts",
} as const;

/** In dist/: Node's headers for C, which the relay's addon is compiled with. */
export const nodeHeaders = "node-api";

/** In dist/: licences of the packages in the bundles, and of node. */
export const licencesFile = "licences.txt";

/** CommonJS packages inside a module ask for `require`, and so do all for what is node's own. */
const banner = 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);';

/**
 * What is node's own comes by `require`: where a module imports it, node reads each of its exports
 * at once, also those that are made when they are first asked for. With node:http that loads the
 * whole of WebSocket and fetch, 3 to 6 MiB in each process (decision 0060).
 */
const builtinsByRequire: Plugin = {
  name: "builtins by require",
  setup: (bundler) => {
    bundler.onResolve({ filter: /^node:/ }, ({ path, kind }) =>
      kind === "import-statement" ? { path, namespace: "builtin" } : undefined,
    );
    bundler.onLoad({ filter: /^/, namespace: "builtin" }, ({ path }) => ({
      contents: `module.exports = require(${JSON.stringify(path)});`,
    }));
  },
};

/** One file for each name, shared code in all that use it, so an image has no more than it runs. */
const optionsFor = (names: readonly (keyof typeof bundles)[], folder: string) =>
  ({
    entryPoints: Object.fromEntries(names.map((name) => [name, join(root, bundles[name])])),
    absWorkingDir: root,
    outdir: folder,
    bundle: true,
    splitting: false,
    platform: "node",
    target: "node24",
    format: "esm",
    banner: { js: banner },
    plugins: [builtinsByRequire],
    // The text stays in memory as long as the process: without comments and indentation, and ASCII,
    // which takes one byte a character and not two. Names stay, and lines that can be read.
    minifyWhitespace: true,
    lineLimit: 120,
    charset: "ascii",
    sourcemap: true,
    sourcesContent: false,
    metafile: true,
    // all of them are in licences.txt
    legalComments: "none",
    logLevel: "warning",
  }) satisfies BuildOptions;

/** Makes FOLDER/NAME.js of each name. Returns what is in them. */
export async function bundle(names: readonly (keyof typeof bundles)[], folder: string): Promise<Metafile> {
  mkdirSync(folder, { recursive: true });
  const { metafile } = await build(optionsFor(names, folder));
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }\n');
  return metafile;
}

const allNames = Object.keys(bundles) as (keyof typeof bundles)[];

/** What an image with these bundles holds beside Debian's packages. Writes nothing. */
export async function bundledPackages(names: readonly (keyof typeof bundles)[] = allNames): Promise<Package[]> {
  const { metafile } = await build({ ...optionsFor(names, dist), write: false, sourcemap: false });
  return [nodePackage(), ...packagesIn(metafile)];
}

/** Builds all of them. Throws with the names of those that have no source. */
export async function buildAll(): Promise<void> {
  const missing = Object.values(bundles).filter((source) => !existsSync(join(root, source)));
  if (missing.length > 0) throw new Error(`can't build without ${missing.join(", ")}`);
  const metafile = await bundle(allNames, dist);
  writeFileSync(join(dist, licencesFile), licenceTexts([nodePackage(), ...packagesIn(metafile)]));
  putNode();
  cpSync(join(root, "node_modules/node-api-headers/include"), join(dist, nodeHeaders), { recursive: true });
}

/**
 * The node of the package lock, the same that tests run with: no other source of programs is
 * needed.
 */
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
  readOptions("npm run build", {});
  await buildAll();
  for (const name of Object.keys(bundles)) {
    const kilobytes = Math.round(statSync(join(dist, `${name}.js`)).size / 1000);
    console.log(`dist/${name}.js  ${kilobytes} kB`);
  }
}
