/** The commands that bring dist/release to a registry. Pure. */
import {
  chartFile,
  charts,
  type ImageName,
  imageNames,
  layoutFolder,
  packageFile,
  type Release,
  sbomFile,
} from "./assets.ts";
import type { Platform } from "./oci.ts";

/** What an image has for each platform. */
export type PublishedImages = Record<ImageName, readonly { platform: Platform; digest: string }[]>;

/**
 * Images first, then what names them. Signatures are keyless: cosign gets a certificate for the
 * workflow's identity. Each platform's manifest has its SBOM as an attestation.
 */
export function publishCommands(release: Release, images: PublishedImages, folder: string): string[][] {
  const { registry, version, digests } = release;
  const at = (name: ImageName, digest: string) => `${registry}/${name}@${digest}`;
  return [
    ...imageNames.map((name) => [
      ...["skopeo", "copy", "--all", "--preserve-digests"],
      `oci:${layoutFolder(folder, name)}:${version}`,
      `docker://${registry}/${name}:${version}`,
    ]),
    ...imageNames.map((name) => ["cosign", "sign", "--yes", "--recursive", at(name, digests[name])]),
    ...imageNames.flatMap((name) =>
      images[name].map(({ platform, digest }) => [
        ...["cosign", "attest", "--yes", "--type", "spdxjson"],
        ...["--predicate", `${folder}/${sbomFile(name, platform)}`, at(name, digest)],
      ]),
    ),
    ...charts.map((chart) => ["helm", "push", `${folder}/${chartFile(chart, version)}`, `oci://${registry}/charts`]),
    ["cosign", "sign-blob", "--yes", "--bundle", `${folder}/SHA256SUMS.sigstore.json`, `${folder}/SHA256SUMS`],
    ["npm", "publish", "--provenance", "--access", "public", `${folder}/${packageFile(version)}`],
  ];
}
