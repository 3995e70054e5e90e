/**
 * An account on disk: a folder named after the address, with its password file (chatmail protocol
 * §1).
 */
import { mkdir, readdir, stat, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ifThere } from "../../lib/if-there.ts";
import { codeOf } from "../../lib/text.ts";
import type { LocalAddress } from "../domains.ts";
import { createFile, readIfThere, replaceFile, sizeIfThere } from "../files.ts";
import { encryptedOnlyFlag } from "./flags.ts";

const scheme = "{SHA512-CRYPT}";
const dayMs = 86_400_000;

/** The day of the last login is kept to the day: less to write, less to know. */
const startOfDay = (ms: number) => Math.floor(ms / dayMs) * dayMs;

export const passwordName = "password";
/** What was imported of an account from another relay: for further passes (relay/import). */
export const notesName = "imported.json";
const passwordFile = (account: LocalAddress) => join(account.home, passwordName);

export type StoredPassword =
  | { kind: "hash"; crypt: string }
  | { kind: "none" }
  /** Not a hash of ours: an administrator has blocked the address, or the file is empty. */
  | { kind: "unusable"; empty: boolean };

export async function readPassword(account: LocalAddress): Promise<StoredPassword> {
  const text = (await readIfThere(passwordFile(account)))?.trim();
  if (text === undefined) return { kind: "none" };
  return text.startsWith(`${scheme}$6$`)
    ? { kind: "hash", crypt: text.slice(scheme.length) }
    : { kind: "unusable", empty: text === "" };
}

/** A non-empty password file is what makes an address exist. */
export const accountExists = (account: LocalAddress): boolean => (sizeIfThere(passwordFile(account)) ?? 0) > 0;

/**
 * Mail without a password: what an administrator leaves who has taken the password away. Nobody may
 * come by it by choosing a new one.
 */
export const hasMailButNoPassword = (account: LocalAddress): boolean =>
  sizeIfThere(join(account.home, "cur")) !== undefined;

/**
 * Makes the account; false where it has come into being meanwhile. The password comes last: a crash
 * before it leaves no account.
 */
export async function writeAccount(account: LocalAddress, crypt: string, nowMs: number): Promise<boolean> {
  await mkdir(dirname(account.home), { recursive: true, mode: 0o700 });
  await mkdir(account.home, { recursive: true, mode: 0o700 });
  await writeFile(join(account.home, encryptedOnlyFlag), "", { mode: 0o600 });
  const path = passwordFile(account);
  const stored = await readPassword(account);
  if (stored.kind === "unusable" && stored.empty) await replaceFile(path, scheme + crypt);
  else if (!(await createFile(path, scheme + crypt))) return false;
  await utimes(path, startOfDay(nowMs) / 1000, startOfDay(nowMs) / 1000);
  return true;
}

/**
 * Notes the day; false where there is no such account. Writes only on another day than the noted
 * one.
 */
export async function noteLogin(account: LocalAddress, atMs: number): Promise<boolean> {
  const path = passwordFile(account);
  try {
    const day = startOfDay(atMs);
    if ((await stat(path)).mtimeMs !== day) await utimes(path, day / 1000, day / 1000);
    return true;
  } catch (thrown) {
    if (codeOf(thrown) === "ENOENT" || codeOf(thrown) === "ENOTDIR") return false;
    throw thrown;
  }
}

/** All addresses of one domain's folder that have a name like one. */
export async function listAccounts(domainFolder: string): Promise<string[]> {
  const entries = (await ifThere(() => readdir(domainFolder, { withFileTypes: true }))) ?? [];
  return entries.filter((entry) => entry.isDirectory() && entry.name.includes("@")).map((entry) => entry.name);
}
