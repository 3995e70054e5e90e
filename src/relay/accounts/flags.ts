/** What an account's flag files say to the filter. */
import { join } from "node:path";
import { type Domains, localRecipient } from "../domains.ts";
import { sizeIfThere } from "../files.ts";

/** Made by an administrator: the address neither sends nor receives. */
export const disabledFlag = "DISABLED";
/** Made with the account: cleartext from other servers is refused. */
export const encryptedOnlyFlag = "enforceE2EEincoming";
export const flagFiles = [disabledFlag, encryptedOnlyFlag] as const;

export function isDisabled(config: Domains, address: string): boolean {
  const account = localRecipient(config, address);
  return account !== undefined && exists(join(account.home, disabledFlag));
}

/**
 * True for addresses that can never be local accounts; false for accounts that do not exist yet
 * (that mail bounces later).
 */
export function takesOnlyEncrypted(config: Domains, address: string): boolean {
  const account = localRecipient(config, address);
  return account === undefined || exists(join(account.home, encryptedOnlyFlag));
}

const exists = (path: string): boolean => sizeIfThere(path) !== undefined;
