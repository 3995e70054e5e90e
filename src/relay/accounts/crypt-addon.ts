/**
 * crypt(3) of the image's libxcrypt, on node's thread pool (image/crypt.c). It takes a quarter of
 * the CPU time of the same in JavaScript, and no thread of its own.
 */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Undefined where libxcrypt does not accept the password or the setting. */
export type Crypt = (password: Buffer, setting: string) => Promise<string | undefined>;

/**
 * Undefined where there is no such file, as outside of the image. Throws when it is there and can't
 * be loaded.
 */
export function loadCrypt(file: URL): Crypt | undefined {
  if (!existsSync(file)) return undefined;
  // not by `createRequire`, a name that the bundle has already
  const addon = { exports: {} as { crypt?: Crypt } };
  process.dlopen(addon, fileURLToPath(file));
  return addon.exports.crypt;
}
