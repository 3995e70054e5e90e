/** Node for another processor than this machine's: from npm, by the digest that stands here. */
import { createHash } from "node:crypto";
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Architecture, architectures } from "../test/lab/emulation.ts";
import { LabError, run } from "../test/lab/run.ts";

/**
 * The packages that the package `node` of this version installs one of, with what `npm view
 * node-linux-ARCH@VERSION dist.integrity` says. The package lock has no entry for them.
 */
export const nodePackages: Readonly<{ version: string } & Record<Architecture, string>> = {
  version: "24.21.0",
  amd64: "sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==",
  arm64: "sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==",
};

export async function putNodeFor(architecture: Architecture, to: string): Promise<void> {
  const name = `node-linux-${architectures[architecture].node}@${nodePackages.version}`;
  const folder = mkdtempSync(join(tmpdir(), "node-for-"));
  try {
    const printed = await run(["npm", "pack", "--silent", name], { cwd: folder });
    const archive = join(folder, printed.split("\n").at(-1) ?? "");
    const digest = `sha512-${createHash("sha512").update(readFileSync(archive)).digest("base64")}`;
    if (digest !== nodePackages[architecture])
      throw new LabError(`${name} is ${digest}, and scripts/node-for.ts names ${nodePackages[architecture]}`);
    await run(["tar", "-xzf", archive, "-C", folder, "package/bin/node"]);
    copyFileSync(join(folder, "package/bin/node"), to);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
