/** What an account's flag files say to the filter. */
import { access } from "node:fs/promises";
import { join } from "node:path";
import { type Domains, isOurs, localRecipient } from "../domains.ts";
import { codeOf } from "../files.ts";

/** Made by an administrator: the address neither sends nor receives. */
const disabledFlag = "DISABLED";
/** Made with the account: cleartext from other servers is refused. */
export const encryptedOnlyFlag = "enforceE2EEincoming";

export async function isDisabled(config: Domains, address: string): Promise<boolean> {
  const account = localRecipient(config, address);
  return account !== undefined && (await exists(join(account.home, disabledFlag)));
}

/** An address that is ours and can be no account counts as one; an account that does not exist does not (mail to it bounces later). */
export async function takesOnlyEncrypted(config: Domains, address: string): Promise<boolean> {
  const account = localRecipient(config, address);
  return account === undefined || !isOurs(config, address) || (await exists(join(account.home, encryptedOnlyFlag)));
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (thrown) {
    if (codeOf(thrown) === "ENOENT" || codeOf(thrown) === "ENOTDIR") return false;
    throw thrown;
  }
}
