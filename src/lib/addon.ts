/** Addons of node that the image has beside the program. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/**
 * Undefined where there is no such file, as outside of the image. Throws when it is there and can't
 * be loaded.
 */
export function loadAddon<Exports extends object>(file: URL): Partial<Exports> | undefined {
  if (!existsSync(file)) return undefined;
  // not by `createRequire`, a name that the bundle has already
  const addon = { exports: {} };
  process.dlopen(addon, fileURLToPath(file));
  return addon.exports;
}
