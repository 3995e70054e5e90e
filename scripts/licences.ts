/**
 * Licences of what the images hold beside Debian's packages: the npm packages in our bundles, and
 * node. The texts go into the images, as the licences ask for; the list goes into the docs.
 */
import { globSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Metafile } from "esbuild";

const root = join(import.meta.dirname, "..");

export interface Package {
  name: string;
  version: string;
  licence: string;
  /**
   * Whole texts of its licence files. Empty where it brings none, unless it is Apache-2.0, whose
   * text is the same everywhere.
   */
  text: string;
}

/** Each package of which a bundle has a file, by name. */
export function packagesIn({ inputs }: Metafile): Package[] {
  const folders = Object.keys(inputs).flatMap((path) => {
    const [, folder] = /^((?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path) ?? [];
    return folder === undefined ? [] : [folder];
  });
  return [...new Set(folders)].map((folder) => packageAt(join(root, folder))).sort(byName);
}

/** The node that the images hold, as npm brought it. */
export function nodePackage(): Package {
  const [licence] = globSync("node_modules/**/node-{linux,darwin}-*/LICENSE", { cwd: root });
  if (licence === undefined) throw new Error("no licence of node under node_modules: npm ci");
  const { version } = packageAt(join(root, "node_modules/node"));
  return { name: "Node.js", version, licence: "MIT", text: readFileSync(join(root, licence), "utf8") };
}

const byName = (one: Package, other: Package) =>
  one.name === other.name ? (one.version < other.version ? -1 : 1) : one.name < other.name ? -1 : 1;

function packageAt(folder: string): Package {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as {
    name: string;
    version: string;
    license?: string;
  };
  const files = readdirSync(folder).filter((file) => /^(licen[cs]e|copying|notice)/i.test(file));
  const own = files.map((file) => readFileSync(join(folder, file), "utf8").trim()).join("\n\n");
  const text = own === "" && license === "Apache-2.0" ? readFileSync(join(root, "LICENSE"), "utf8").trim() : own;
  return { name, version, licence: license ?? "not named", text };
}

/** One text file with all of them, for the images. */
export function licenceTexts(packages: readonly Package[]): string {
  const rule = "=".repeat(80);
  return packages
    .map(({ name, version, licence, text }) => `${rule}\n${name} ${version} (${licence})\n${rule}\n\n${text}\n`)
    .join("\n");
}

/** docs/reference/licences.md */
export function licencesPage(packages: readonly Package[]): string {
  const rows = packages.map(({ name, version, licence }) => `| ${name} | ${version} | ${licence} |`);
  return `<!-- Written by npm run generate from what the bundles hold (scripts/licences.ts). -->

# Licences

The project itself: [Apache-2.0](../../LICENSE). The images hold more.

## In our programs

The npm packages whose code is in the bundles, and Node.js. Their texts are in both images, in
\`/usr/share/doc/chatmail-operator/licences.txt\`.

| Package | Version | Licence |
| --- | --- | --- |
${rows.join("\n")}

## From Debian

Everything else in the images are packages of Debian, unchanged but for setuid bits and documentation. Which ones depends on the day
that an image is built. The text of each licence is in the image, in \`/usr/share/doc/PACKAGE/copyright\`. The sources are Debian's:
<https://sources.debian.org>. To list packages and versions of an image, and to read a licence:

<!-- not run: needs an image in a Docker engine -->

\`\`\`sh
docker run --rm --entrypoint dpkg-query chatmail-relay:0.1.0 -W
docker run --rm --entrypoint cat chatmail-relay:0.1.0 /usr/share/doc/postfix/copyright
\`\`\`

The main licences of the programs that do the work; parts of them have others, which the texts name:

| Program | Licence |
| --- | --- |
| Postfix | EPL-2.0 or IPL-1.0 |
| Dovecot | LGPL-2.1 and MIT |
| nginx | BSD-2-Clause |
| coturn | BSD-3-Clause |
| Lua | MIT |
| GNU C library | LGPL-2.1 or later |
| OpenSSL | Apache-2.0 |
| libxcrypt | LGPL-2.1 or later |
`;
}
