/**
 * Dovecot and kubelets watch files; the usual 128 inotify instances per user are too few for nodes
 * that share one kernel.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { statePath } from "./place.ts";

const sysctl = "/proc/sys/fs/inotify/max_user_instances";
const wanted = 65_536;
const before = statePath("inotify-before");

/** The limit that holds now. */
export const inotifyInstances = () => Number(readFileSync(sysctl, "utf8"));

/** Raises the limit and remembers what it was, so that `down` can put it back. Needs root. */
export function raiseInotify() {
  const now = inotifyInstances();
  if (now >= wanted) return;
  if (!existsSync(before)) writeFileSync(before, String(now));
  writeFileSync(sysctl, String(wanted));
}

/** Puts the limit back, unless somebody else has changed it meanwhile. */
export function restoreInotify() {
  if (existsSync(before) && inotifyInstances() === wanted) writeFileSync(sysctl, readFileSync(before, "utf8"));
}
