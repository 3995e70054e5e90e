/**
 * What an administrator may do with single accounts, as `kubectl chatmail users` asks for it in the
 * relay container. Whatever ends half way can be done again: an account that is deleted loses its
 * password last, as at its expiry.
 */
import { lstat, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ifThere } from "../../lib/if-there.ts";
import { disabledFlag } from "../accounts/flags.ts";
import { accountExists, listAccounts, passwordName } from "../accounts/store.ts";
import { type Domains, type LocalAddress, localAddress } from "../domains.ts";

export interface Count {
  domain: string;
  accounts: number;
  /** Whose last login is less than 30 days ago. */
  active: number;
  disabled: number;
}

export interface User {
  address: string;
  /** The day, in UTC; last logins are known no better. */
  lastLogin: string;
  disabled: boolean;
}

const activeMs = 30 * 86_400_000;

export async function countUsers(config: Domains, nowMs: number): Promise<Count[]> {
  const counts: Count[] = [];
  for (const domain of Object.keys(config.domains)) {
    const count = { domain, accounts: 0, active: 0, disabled: 0 };
    for await (const { lastLoginMs, disabled } of usersOf(config, domain)) {
      count.accounts++;
      if (nowMs - lastLoginMs < activeMs) count.active++;
      if (disabled) count.disabled++;
    }
    counts.push(count);
  }
  return counts;
}

/** Those whose address has this text, at most `most`, in the order of the alphabet. */
export async function findUsers(config: Domains, text: string, most: number): Promise<User[]> {
  const found: User[] = [];
  for (const domain of Object.keys(config.domains))
    for await (const { address, lastLoginMs, disabled } of usersOf(config, domain, text.toLowerCase()))
      found.push({ address, lastLogin: new Date(lastLoginMs).toISOString().slice(0, 10), disabled });
  return found.sort((one, other) => (one.address < other.address ? -1 : 1)).slice(0, most);
}

/** Throws where there is no such account. Safe to repeat. */
export async function disableUser(config: Domains, address: string): Promise<void> {
  const { home } = accountAt(config, address);
  await writeFile(join(home, disabledFlag), "", { mode: 0o600 });
}

/** Throws where there is no such account. Safe to repeat. */
export async function enableUser(config: Domains, address: string): Promise<void> {
  const { home } = accountAt(config, address);
  await rm(join(home, disabledFlag), { force: true });
}

/** Throws where there is no such account. */
export async function deleteUser(config: Domains, address: string): Promise<void> {
  const { home } = accountAt(config, address);
  for (const name of await readdir(home))
    if (name !== passwordName) await rm(join(home, name), { recursive: true, force: true });
  await rm(home, { recursive: true, force: true });
}

function accountAt(config: Domains, address: string): LocalAddress {
  const account = localAddress(config, address);
  if (account && accountExists(account)) return account;
  throw new Error(`there is no account ${address}`);
}

async function* usersOf(config: Domains, domain: string, part = "") {
  for (const name of await listAccounts(join(config.mailFolder, domain))) {
    const account = name.includes(part) ? localAddress(config, name) : undefined;
    if (account?.domain !== domain || account.address !== name || !accountExists(account)) continue;
    const lastLogin = await modified(join(account.home, passwordName));
    if (lastLogin === undefined) continue;
    const disabled = (await modified(join(account.home, disabledFlag))) !== undefined;
    yield { address: name, lastLoginMs: lastLogin, disabled };
  }
}

async function modified(path: string): Promise<number | undefined> {
  return (await ifThere(() => lstat(path)))?.mtimeMs;
}
