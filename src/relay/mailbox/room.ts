/**
 * Which accounts are so far below their quota that a delivery need not look. Dovecot's look is a
 * sync of the whole mailbox before the message and another one after it, which costs more the more
 * messages are there. Here a mailbox is measured once, and what is delivered is counted from then
 * on. An account gets past its quota by a twentieth of it at most:
 * where a client has filled it meanwhile.
 */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { BoundedMap } from "../../lib/bounded-map.ts";
import { ifThere } from "../../lib/if-there.ts";
import type { LocalAddress } from "../domains.ts";
import { parseMaildirName, trimTargetBytes } from "../expire/policy.ts";

export interface RoomOptions {
  now: () => number;
  /** The mailbox is nearly full: what Dovecot's warning does is due. */
  trim(account: LocalAddress): Promise<void>;
  onFailure: (thrown: unknown) => void;
}

/** Some 200 bytes each. */
const mostAccounts = 10_000;
const mostMeasured = 2;
/** Of the quota: what is delivered until a mailbox is measured again. */
const share = 0.05;
/** Of the quota: Dovecot warns from here on, where it looks. */
const nearlyFull = 0.75;
/** Mail that clients and administrators delete is seen after so long. */
const validMs = 3_600_000;

interface Measured {
  leftBytes: number;
  isLow: boolean;
  until: number;
}

export class Room {
  readonly #options: RoomOptions;
  readonly #measured = new BoundedMap<string, Measured>(mostAccounts);
  readonly #running = new Set<string>();

  constructor(options: RoomOptions) {
    this.#options = options;
  }

  /**
   * Whether so many bytes fit for sure; then they are taken. A mailbox that is not known is
   * measured first, unless others are.
   */
  async take(account: LocalAddress, bytes: number): Promise<boolean> {
    if (this.#takes(account, bytes)) return true;
    if (this.#known(account)?.isLow) return false;
    await this.#measure(account);
    return this.#takes(account, bytes);
  }

  #takes(account: LocalAddress, bytes: number): boolean {
    const known = this.#known(account);
    if (!known || known.leftBytes < bytes) return false;
    known.leftBytes -= bytes;
    return true;
  }

  #known({ address }: LocalAddress): Measured | undefined {
    const known = this.#measured.get(address);
    return known && known.until > this.#options.now() ? known : undefined;
  }

  async #measure(account: LocalAddress): Promise<void> {
    const { address, limits } = account;
    if (this.#running.size >= mostMeasured || this.#running.has(address)) return;
    this.#running.add(address);
    try {
      const used = await mailboxBytes(account.home);
      const belowTarget = trimTargetBytes(limits) - used;
      const until = this.#options.now() + validMs;
      const leftBytes = Math.min(belowTarget, limits.quotaBytes * share);
      this.#measured.set(address, { leftBytes, isLow: belowTarget < limits.quotaBytes * share, until });
      if (used >= limits.quotaBytes * nearlyFull) this.#options.trim(account).catch(this.#options.onFailure);
    } catch (thrown) {
      this.#options.onFailure(thrown);
    } finally {
      this.#running.delete(address);
    }
  }
}

/** Of all folders of a Maildir++, as Dovecot counts them: uncompressed. */
export async function mailboxBytes(home: string): Promise<number> {
  const entries = (await ifThere(() => readdir(home, { withFileTypes: true }))) ?? [];
  const folders = entries.filter((entry) => entry.isDirectory() && entry.name.startsWith("."));
  let bytes = 0;
  for (const folder of ["", ...folders.map(({ name }) => name)])
    for (const part of ["cur", "new"]) bytes += await folderBytes(join(home, folder, part));
  return bytes;
}

async function folderBytes(folder: string): Promise<number> {
  let bytes = 0;
  for (const name of await namesIn(folder)) {
    const size = parseMaildirName(name)?.bytes ?? (await ifThere(() => stat(join(folder, name))))?.size ?? 0;
    bytes += size;
  }
  return bytes;
}

const namesIn = async (folder: string): Promise<string[]> => (await ifThere(() => readdir(folder))) ?? [];
