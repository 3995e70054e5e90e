/**
 * crypt(3) of the image's libxcrypt, on node's thread pool (image/crypt.c). It takes a quarter of
 * the CPU time of the same in JavaScript, and no thread of its own.
 */
import { loadAddon } from "../../lib/addon.ts";

/** Undefined where libxcrypt does not accept the password or the setting. */
export type Crypt = (password: Buffer, setting: string) => Promise<string | undefined>;

export const loadCrypt = (file: URL): Crypt | undefined => loadAddon<{ crypt: Crypt }>(file)?.crypt;
