/** A small image as `docker save` writes it, unpacked in a folder. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { digestOf } from "../../scripts/release/oci.ts";
import { tarOf } from "../../scripts/release/tar.ts";

export interface SavedImage {
  architecture?: string;
  /** Files of each layer. */
  layers: readonly Readonly<Record<string, string>>[];
  /** When it was built. */
  builtAt?: number;
}

export function saveImage(folder: string, { architecture = "amd64", layers, builtAt = 2_000_000_000 }: SavedImage) {
  mkdirSync(folder, { recursive: true });
  const tars = layers.map((files) => tarOf(files, builtAt));
  const created = new Date(builtAt * 1_000).toISOString();
  const config = {
    architecture,
    os: "linux",
    created,
    config: { User: "65532:65532", Entrypoint: ["/bin/true"], Labels: null },
    rootfs: { type: "layers", diff_ids: tars.map(digestOf) },
    history: tars.map(() => ({ created, created_by: "a test" })),
  };
  for (const [at, tar] of tars.entries()) writeFileSync(join(folder, `${at}.tar`), tar);
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  const Layers = tars.map((_, at) => `${at}.tar`);
  writeFileSync(join(folder, "manifest.json"), JSON.stringify([{ Config: "config.json", RepoTags: null, Layers }]));
}

/** A status file of dpkg with so many packages, the last of which was removed. */
export function dpkgStatus(count: number, architecture: string): string {
  const packages = Array.from({ length: count }, (_, at) => ({ name: `lib${at}`, status: "install ok installed" }));
  packages.push({ name: "gone", status: "deinstall ok config-files" });
  return packages
    .map(
      ({ name, status }) =>
        `Package: ${name}\nStatus: ${status}\nArchitecture: ${architecture}\nVersion: 1:2.3-4+deb13u1\nSource: src${name}\nDescription: about\n it all\n`,
    )
    .join("\n");
}
