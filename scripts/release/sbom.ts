/**
 * What an image holds, as SPDX 2.3 in JSON: Debian's packages from the dpkg status inside of it,
 * and what is in our bundles from the package lock.
 */
import type { Package } from "../licences.ts";
import type { Platform } from "./oci.ts";

export interface DebianPackage {
  name: string;
  version: string;
  architecture: string;
  source: string;
}

/** Installed packages of a dpkg status file. */
export function debianPackages(status: string): DebianPackage[] {
  return status.split(/\n\n+/).flatMap((paragraph) => {
    const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(paragraph)?.[1] ?? "";
    if (!/ installed$/.test(field("Status"))) return [];
    const name = field("Package");
    return [{ name, version: field("Version"), architecture: field("Architecture"), source: field("Source") || name }];
  });
}

/** Base64 of the lock's integrity, as SPDX has checksums. */
function checksumOf(integrity: string | undefined) {
  const [, algorithm = "", base64 = ""] = /^(sha\d+)-(\S+)$/.exec(integrity ?? "") ?? [];
  if (base64 === "") return {};
  const checksumValue = Buffer.from(base64, "base64").toString("hex");
  return { checksums: [{ algorithm: algorithm.toUpperCase(), checksumValue }] };
}

export interface SbomOptions {
  /** REGISTRY/NAME of the image. */
  image: string;
  version: string;
  platform: Platform;
  /** Of the image's manifest. */
  digest: string;
  dpkgStatus: string;
  osRelease: string;
  bundled: readonly Package[];
  /** The package lock's `packages`. */
  locked: Readonly<Record<string, { version?: string; integrity?: string }>>;
  epochSeconds: number;
}

const nobody = "NOASSERTION";
const idOf = (...parts: readonly string[]) => `SPDXRef-${parts.join("-").replace(/[^A-Za-z0-9.-]+/g, "-")}`;

export function sbomOf(options: SbomOptions) {
  const { image, version, platform, digest, dpkgStatus, osRelease, bundled, locked, epochSeconds } = options;
  const name = image.slice(image.lastIndexOf("/") + 1);
  const [, distro = "debian"] = /^ID=(\S+)$/m.exec(osRelease) ?? [];
  const [, release = ""] = /^VERSION_ID="?([^"\n]*)/m.exec(osRelease) ?? [];
  const common = { filesAnalyzed: false, downloadLocation: nobody, licenseConcluded: nobody, copyrightText: nobody };
  const purl = (referenceLocator: string) => ({
    externalRefs: [{ referenceCategory: "PACKAGE-MANAGER", referenceType: "purl", referenceLocator }],
  });
  const root = {
    SPDXID: idOf("Image", name),
    name: image,
    versionInfo: version,
    ...common,
    licenseDeclared: "Apache-2.0",
    primaryPackagePurpose: "CONTAINER",
    checksums: [{ algorithm: "SHA256", checksumValue: digest.replace("sha256:", "") }],
    ...purl(
      `pkg:oci/${name}@${encodeURIComponent(digest)}?repository_url=${encodeURIComponent(image)}&arch=${platform.architecture}&tag=${version}`,
    ),
  };
  const debian = debianPackages(dpkgStatus).map((each) => ({
    SPDXID: idOf("deb", each.name, each.architecture),
    name: each.name,
    versionInfo: each.version,
    ...common,
    // each package has its terms in /usr/share/doc/NAME/copyright of the image
    licenseDeclared: nobody,
    sourceInfo: `built from ${each.source}`,
    ...purl(
      `pkg:deb/${distro}/${encodeURIComponent(each.name)}@${encodeURIComponent(each.version)}?arch=${each.architecture}&distro=${distro}-${release}`,
    ),
  }));
  const npm = bundled.map((each) => {
    const isNode = each.name === "Node.js";
    const known = Object.entries(locked).find(
      ([path, of]) => path.endsWith(`node_modules/${each.name}`) && of.version === each.version,
    );
    return {
      SPDXID: idOf(isNode ? "runtime" : "npm", each.name, each.version),
      name: each.name,
      versionInfo: each.version,
      ...common,
      licenseDeclared: each.licence,
      ...checksumOf(known?.[1].integrity),
      ...purl(isNode ? `pkg:generic/node@${each.version}` : `pkg:npm/${each.name.replace("@", "%40")}@${each.version}`),
    };
  });
  const packages = [root, ...debian, ...npm];
  return {
    spdxVersion: "SPDX-2.3",
    dataLicense: "CC0-1.0",
    SPDXID: "SPDXRef-DOCUMENT",
    name: `${name}-${version}-${platform.os}-${platform.architecture}`,
    documentNamespace: `https://${image}/sbom/${digest.replace("sha256:", "")}`,
    creationInfo: {
      created: new Date(epochSeconds * 1_000).toISOString().replace(".000", ""),
      creators: ["Tool: chatmail-operator-release"],
    },
    packages,
    relationships: [
      { spdxElementId: "SPDXRef-DOCUMENT", relationshipType: "DESCRIBES", relatedSpdxElement: root.SPDXID },
      ...packages.slice(1).map(({ SPDXID }) => ({
        spdxElementId: root.SPDXID,
        relationshipType: "CONTAINS",
        relatedSpdxElement: SPDXID,
      })),
    ],
  };
}
