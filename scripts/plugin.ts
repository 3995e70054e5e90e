/**
 * `npm run plugin`: bundles `kubectl chatmail` into dist/plugin, one file. With --url: packs it
 * too, and writes the manifest by which krew installs it from there.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, copyFileSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { stringify } from "yaml";
import { licenceTexts, packagesIn } from "./licences.ts";
import { readOptions } from "./options.ts";

const root = join(import.meta.dirname, "..");
const program = "kubectl-chatmail.mjs";
const archive = "kubectl-chatmail.tar.gz";
const contents = [program, "LICENSE", "licences.txt"];

/** CommonJS packages inside a module ask for `require`. */
const banner = `#!/usr/bin/env node
import { createRequire } from "node:module"; const require = createRequire(import.meta.url);`;

/** Makes the files of the plugin in the folder. */
export async function bundlePlugin(folder: string, version: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const { metafile } = await build({
    entryPoints: [join(root, "src/main/kubectl-chatmail.ts")],
    absWorkingDir: root,
    outfile: join(folder, program),
    bundle: true,
    minifySyntax: true,
    platform: "node",
    target: "node22",
    format: "esm",
    banner: { js: banner },
    define: { "process.env.CHATMAIL_PLUGIN_VERSION": JSON.stringify(version) },
    metafile: true,
    // all of them are in licences.txt
    legalComments: "none",
    logLevel: "warning",
  });
  chmodSync(join(folder, program), 0o755);
  copyFileSync(join(root, "LICENSE"), join(folder, "LICENSE"));
  writeFileSync(join(folder, "licences.txt"), licenceTexts(packagesIn(metafile)));
}

/** As https://krew.sigs.k8s.io/docs/developer-guide/plugin-manifest has it. */
export function krewManifest({ version, url, sha256 }: { version: string; url: string; sha256: string }): object {
  return {
    apiVersion: "krew.googlecontainertools.github.com/v1alpha2",
    kind: "Plugin",
    metadata: { name: "chatmail" },
    spec: {
      version: `v${version}`,
      homepage: new URL(".", url).href,
      shortDescription: "Look after chatmail relays",
      description:
        "Shows what is wrong with chatmail relays (ChatmailServer resources), which DNS records are missing and how people join, and restarts, updates and examines them.\n",
      caveats: "Needs Node.js 22.19 or newer on PATH.\n",
      platforms: [
        {
          selector: { matchExpressions: [{ key: "os", operator: "In", values: ["linux", "darwin"] }] },
          uri: url,
          sha256,
          bin: program,
          files: contents.map((from) => ({ from, to: "." })),
        },
      ],
    },
  };
}

/** The same bytes of the same files, whoever packs them. */
function packed(folder: string): Buffer {
  const fixed = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "--format=ustar"];
  const tar = execFileSync("tar", [...fixed, "-cf", "-", "-C", folder, ...contents], { maxBuffer: 2 ** 28 });
  return execFileSync("gzip", ["-9n"], { input: tar, maxBuffer: 2 ** 28 });
}

if (import.meta.main) {
  const usage = "npm run plugin [-- --url https://…/kubectl-chatmail.tar.gz]";
  const { values } = readOptions(usage, { options: { url: { type: "string" } } });
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  const folder = join(root, "dist/plugin");
  rmSync(folder, { recursive: true, force: true });
  await bundlePlugin(folder, version);
  console.log(`dist/plugin/${program}  ${Math.round(statSync(join(folder, program)).size / 1000)} kB`);
  if (values.url !== undefined) {
    const bytes = packed(folder);
    writeFileSync(join(folder, archive), bytes);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    writeFileSync(join(folder, "chatmail.yaml"), stringify(krewManifest({ version, url: values.url, sha256 })));
    console.log(`dist/plugin/${archive}, dist/plugin/chatmail.yaml`);
  }
}
