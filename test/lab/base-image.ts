/**
 * Debian's own root file system, made by debootstrap: what images start from where there is no
 * registry.
 */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildLog, cached, contentKey } from "./cache.ts";
import { type Architecture, ownArchitecture } from "./emulation.ts";
import { needPackages } from "./packages.ts";
import { isRoot } from "./place.ts";
import type { Progress } from "./progress.ts";
import { LabError, run } from "./run.ts";

export type Suite = "trixie" | "bookworm";

const fileName = "rootfs.tar";
/** Raised when what is done below changes. */
const recipe = "1";

/**
 * Path of an uncompressed tarball of a minimal Debian of this suite, made once and kept in the
 * cache (about a minute). Its sources.list has updates and security as well. Needs root.
 */
export async function debianBase(
  suite: Suite,
  options: { include?: readonly string[]; progress?: Progress; architecture?: Architecture | undefined } = {},
): Promise<string> {
  const include = [...(options.include ?? ["ca-certificates"])].sort();
  const mirror = hostMirror();
  const { architecture } = options;
  const other = architecture === undefined || architecture === ownArchitecture() ? [] : [architecture];
  const key = contentKey([suite, mirror, include.join(), recipe, ...other]);
  const dir = await cached(`debian-${suite}`, key, async (draft) => {
    if (!isRoot) throw new LabError("a Debian base is made by debootstrap, which needs root");
    options.progress?.step(`Debian ${suite} from ${new URL(mirror).host}`, 60);
    await needPackages(["debootstrap", "debian-archive-keyring"]);
    const root = join(draft, "root");
    const log = buildLog(`debian-${suite}`);
    const forOther = other.map((name) => `--arch=${name}`);
    await run(["debootstrap", ...forOther, "--variant=minbase", `--include=${include.join()}`, suite, root, mirror], {
      log,
    });
    writeFileSync(join(root, "etc/apt/sources.list"), sources(suite, mirror));
    for (const leftover of ["var/cache/apt/archives", "var/lib/apt/lists"]) emptyFiles(join(root, leftover));
    await run(["tar", "-C", root, "--numeric-owner", "-cf", join(draft, fileName), "."], { log });
    rmSync(root, { recursive: true });
  });
  return join(dir, fileName);
}

/** Lines of sources.list for a suite and its updates. Pure. */
export function sources(suite: Suite, mirror: string): string {
  const security = mirror.replace(/\/debian\/?$/, "/debian-security");
  return [
    `deb ${mirror} ${suite} main`,
    `deb ${mirror} ${suite}-updates main`,
    `deb ${security} ${suite}-security main`,
    "",
  ].join("\n");
}

/** The mirror that this machine itself uses. */
function hostMirror(): string {
  const folder = "/etc/apt/sources.list.d";
  const files = existsSync(folder) ? readdirSync(folder).map((file) => join(folder, file)) : [];
  for (const file of ["/etc/apt/sources.list", ...files].filter((path) => existsSync(path))) {
    const found = debianMirror(readFileSync(file, "utf8"));
    if (found) return found;
  }
  throw new LabError(
    "no Debian mirror in /etc/apt/sources.list or sources.list.d; images without Docker need a Debian",
  );
}

/** The first Debian mirror in the text of a sources file, in either of apt's two formats. Pure. */
export function debianMirror(text: string): string | undefined {
  const uri = /^(?:URIs:|deb)\s+(?:\[[^\]]*\]\s+)?(https?:\/\/\S+\/debian)\/?(?:\s|$)/m;
  return uri.exec(text)?.[1];
}

function emptyFiles(folder: string) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isFile()) rmSync(join(folder, entry.name));
  }
}
