/**
 * What was there before the newest change: its tree and its two images, for the tests and
 * measurements of an upgrade. From git, built by that commit's own build, and kept by the commit.
 */
import { existsSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { buildLog, cached, contentKey, isCached } from "../test/lab/cache.ts";
import type { Progress } from "../test/lab/progress.ts";
import { LabError, run, tryRun } from "../test/lab/run.ts";
import { buildImagesOf, type Image } from "./images.ts";

export interface Previous {
  commit: string;
  /** A folder with the files of that commit: chart, CRD, install file. */
  tree: string;
  operator: Image;
  relay: Image;
}

const root = join(import.meta.dirname, "..");
/** Raised when what is done below changes. */
const recipe = "1";
/** What a user installs, and what that is made from. */
const shipped = ["src", "image", "Dockerfile", "package-lock.json", "charts", "install", "crds"];

const git = async (...args: string[]) => {
  const { code, stdout } = await tryRun(["git", "-C", root, ...args]);
  return code === 0 ? stdout.trim() : undefined;
};

/** `commit`: from previousCommit(). */
export async function buildPrevious(commit: string, progress: Progress): Promise<Previous> {
  const key = contentKey([commit, recipe]);
  const tag = `previous-${commit.slice(0, 12)}`;
  if (!isCached("previous", key)) progress.step(`images of ${commit.slice(0, 12)}`, 60);
  const folder = await cached("previous", key, (draft) => buildInto(draft, { commit, tag, progress }));
  const image = (target: string) => ({ name: `chatmail-${target}:${tag}`, archive: join(folder, `${target}.tar`) });
  return { commit, tree: join(folder, "tree"), operator: image("operator"), relay: image("relay") };
}

/**
 * What UPGRADE_FROM names (a tag, a branch, a commit). Without it, and with changes that are not
 * committed, the commit that they are made to; else the one before the last that has changed what
 * is shipped.
 */
export async function previousCommit(asked = process.env.UPGRADE_FROM, from = "UPGRADE_FROM="): Promise<string> {
  if ((await git("rev-parse", "--git-dir")) === undefined)
    throw new LabError("an upgrade is tested from the commit before, and this is no clone of the repository");
  const resolve = (name: string) => git("rev-parse", "--verify", "--quiet", `${name}^{commit}`);
  if (asked) {
    const commit = await resolve(asked);
    if (!commit) throw new LabError(`${from}${asked}: there is no such commit in this clone`);
    return commit;
  }
  const changes = await git("status", "--porcelain", "--untracked-files=no", "--", ...shipped);
  const last = await git("log", "-1", "--first-parent", "--format=%H", "--", ...shipped);
  const commit = await resolve(changes ? "HEAD" : `${last}^`);
  if (commit) return commit;
  throw new LabError(
    "an upgrade is tested from the commit before, and this clone has no history: git fetch --unshallow, or UPGRADE_FROM=COMMIT",
  );
}

/** These folders of that commit, put into another one. */
export async function previousFolders(names: readonly string[], into: string): Promise<void> {
  const commit = await previousCommit();
  const archive = join(into, "previous.tar");
  await run(["git", "-C", root, "archive", "--output", archive, commit, ...names]);
  await run(["tar", "-xf", archive, "-C", into]);
  rmSync(archive);
}

async function buildInto(draft: string, of: { commit: string; tag: string; progress: Progress }): Promise<void> {
  const log = buildLog("previous");
  const tree = join(draft, "tree");
  mkdirSync(tree);
  const archive = join(draft, "tree.tar");
  await run(["git", "-C", root, "archive", "--output", archive, of.commit], { log });
  await run(["tar", "-xf", archive, "-C", tree], { log });
  rmSync(archive);
  await installInto(tree, of.commit, log);
  await run([process.execPath, "scripts/build.ts"], { cwd: tree, log });
  await buildImagesOf(tree, { tag: of.tag, folder: draft, progress: of.progress });
  for (const name of ["node_modules", "dist"]) rmSync(join(tree, name), { recursive: true, force: true });
}

/** Its dependencies too, for who runs what is in the tree. */
export async function installPrevious({ tree, commit }: Previous): Promise<void> {
  if (!existsSync(join(tree, "node_modules"))) await installInto(tree, commit, buildLog("previous"));
}

/** Our own dependencies where they are the same. */
async function installInto(tree: string, commit: string, log: string): Promise<void> {
  const same = (await git("diff", "--quiet", commit, "--", "package-lock.json")) !== undefined;
  const own = join(root, "node_modules");
  if (same && existsSync(own)) symlinkSync(own, join(tree, "node_modules"));
  else await run(["npm", "ci", "--no-audit", "--no-fund"], { cwd: tree, log });
}
