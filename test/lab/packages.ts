/**
 * Debian packages the lab needs, installed when missing and kept from starting services of their
 * own.
 */
import { existsSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { isRoot } from "./place.ts";
import { LabError, runSync, tryRun } from "./run.ts";

/** Asked by invoke-rc.d and deb-systemd-invoke before a service is started; 101 means no. */
const policyFile = "/usr/sbin/policy-rc.d";
const lists = "/var/lib/apt/lists";
const freshMs = 86_400_000;

/** Those of the given packages that are not installed. */
export function missingPackages(names: readonly string[]): string[] {
  return names.filter((name) => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: this is dpkg's own syntax
    const { code, stdout } = runSync(["dpkg-query", "-W", "-f", "${db:Status-Status}", name]);
    return code !== 0 || stdout !== "installed";
  });
}

/**
 * Installs what is missing of the given Debian packages, without recommendations and without
 * starting or enabling any service. Safe to repeat; costs some milliseconds when all are there.
 * Throws when not root.
 */
export async function needPackages(names: readonly string[], log?: string): Promise<void> {
  const missing = missingPackages(names);
  if (missing.length === 0) return;
  if (!isRoot) throw new LabError(`these Debian packages are needed, and root to install them: ${missing.join(" ")}`);
  const options = log ? { log, env: aptEnv } : { env: aptEnv };
  if (!listsAreFresh()) await update(options);
  const before = enabledUnits();
  await withoutServices(async () => {
    if ((await install(missing, options)).code === 0) return;
    await update(options); // an old list names versions that are gone from the mirror
    const again = await install(missing, options);
    if (again.code !== 0) throw new LabError(`apt-get install ${missing.join(" ")} failed\n  ${again.stderr.trim()}`);
  });
  const added = enabledUnits().filter((unit) => !before.includes(unit));
  if (added.length > 0) await tryRun(["systemctl", "disable", ...added]);
}

const aptEnv = { DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C" };

/**
 * Another apt-get may be at work: the package lock is waited for by apt itself, the list lock by
 * us.
 */
async function update(options: { env: Record<string, string>; log?: string }) {
  for (let attempt = 1; ; attempt++) {
    const { code, stderr } = await tryRun(["apt-get", "update", "-q"], options);
    if (code === 0) return;
    if (attempt === 30 || !stderr.includes("lock")) throw new LabError(`apt-get update failed\n  ${stderr.trim()}`);
    await wait(2000);
  }
}

const install = (names: readonly string[], options: { env: Record<string, string>; log?: string }) =>
  tryRun(["apt-get", "install", "-qy", "--no-install-recommends", "-oDPkg::Lock::Timeout=300", ...names], options);

function listsAreFresh(): boolean {
  if (
    !existsSync(lists) ||
    !readdirSync(lists).some((file) => file.endsWith("_Packages") || file.includes("_Packages."))
  )
    return false;
  return Date.now() - statSync(lists).mtimeMs < freshMs;
}

async function withoutServices(work: () => Promise<void>) {
  const ours = !existsSync(policyFile);
  if (ours) writeFileSync(policyFile, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    await work();
  } finally {
    if (ours) rmSync(policyFile, { force: true });
  }
}

/** Units that would start at the next boot; none where systemd is not in charge. */
function enabledUnits(): string[] {
  if (!existsSync("/run/systemd/system")) return [];
  const { stdout } = runSync(["systemctl", "list-unit-files", "--state=enabled", "--no-legend", "--plain"]);
  return stdout.split("\n").flatMap((line) => line.split(/\s+/)[0] || []);
}
