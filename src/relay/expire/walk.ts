/**
 * One expiry run over a domain's folder (chatmail protocol §15.1). Runs as a process of its own, so
 * it uses plain synchronous calls, which are several times quicker here. It may be stopped at any
 * point and run again: an account that goes loses its password file last.
 */
import { type Dirent, lstatSync, readdirSync, rmdirSync, rmSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { ifThereSync } from "../../lib/if-there.ts";
import type { DomainLimits } from "../../pod/relay-config.ts";
import { encryptedOnlyFlag } from "../accounts/flags.ts";
import { notesName } from "../accounts/store.ts";
import { type Domains, localAddress } from "../domains.ts";
import { isExpired, isOlder, type Message, namesToTrim, parseMaildirName, trimTargetBytes } from "./policy.ts";
import { addAccount, addMessage, emptyReport, type Report } from "./report.ts";

export interface ExpiryCounts extends Report {
  accounts: number;
  accountsRemoved: number;
  /** Folders with mail and no password: an administrator's, left alone. */
  accountsSkipped: number;
  messages: number;
  messagesRemoved: number;
  bytesRemoved: number;
  /** Files that could not be deleted or looked at. */
  failures: number;
}

export const noCounts = (): ExpiryCounts => ({
  accounts: 0,
  accountsRemoved: 0,
  accountsSkipped: 0,
  messages: 0,
  messagesRemoved: 0,
  bytesRemoved: 0,
  failures: 0,
  ...emptyReport(),
});

export interface ExpiryRun {
  config: Domains;
  nowMs: number;
  /** Count, but delete nothing. */
  dryRun: boolean;
}

/** Throws only when the domain's folder can't be read; a domain without one has no accounts yet. */
export function expireDomain(domain: string, limits: DomainLimits, run: ExpiryRun, counts: ExpiryCounts): void {
  const folder = join(run.config.mailFolder, domain);
  for (const entry of entriesOf(folder) ?? []) {
    // links and folders with other names are not ours
    const account = entry.isDirectory() ? localAddress(run.config, entry.name) : undefined;
    if (account?.domain !== domain || account.address !== entry.name) continue;
    try {
      new AccountExpiry(account.home, limits, run, counts).run();
    } catch {
      counts.failures++;
    }
  }
}

interface Found extends Message {
  path: string;
  inInbox: boolean;
}

class AccountExpiry {
  readonly #home: string;
  readonly #limits: DomainLimits;
  readonly #run: ExpiryRun;
  readonly #counts: ExpiryCounts;

  constructor(home: string, limits: DomainLimits, run: ExpiryRun, counts: ExpiryCounts) {
    this.#home = home;
    this.#limits = limits;
    this.#run = run;
    this.#counts = counts;
  }

  run(): void {
    this.#counts.accounts++;
    const lastLogin = this.#lastLogin();
    if (lastLogin === undefined) this.#removeIfEmpty();
    else if (isOlder(lastLogin, this.#limits.inactiveAccountsAfterDays, this.#run.nowMs)) this.#removeAccount();
    else {
      addAccount(this.#counts, lastLogin, this.#run.nowMs);
      this.#removeMessages();
    }
  }

  #removeMessages(): void {
    this.#removeNotes();
    const messages = this.#messages(this.#home, true);
    this.#counts.messages += messages.length;
    const expired = messages.filter((each) => isExpired(each, this.#limits, this.#run.nowMs));
    const gone = new Set(expired);
    const inbox = messages.filter((each) => each.inInbox && each.folder !== "tmp" && !gone.has(each));
    const trimmed = namesToTrim(inbox, trimTargetBytes(this.#limits), this.#run.nowMs);
    const removed = new Set([...expired, ...trimmed].filter((each) => this.#removeMessage(each)));
    for (const each of messages) if (!removed.has(each)) addMessage(this.#counts, each.bytes);
    if (removed.size > 0 && !this.#run.dryRun) rmSync(join(this.#home, "maildirsize"), { force: true });
  }

  /** Notes of an import say when mails came: they stay no longer than those. */
  #removeNotes(): void {
    const path = join(this.#home, notesName);
    const changed = ifThereSync(() => lstatSync(path).mtimeMs);
    if (changed === undefined || !isOlder(changed, this.#limits.deleteAfterDays, this.#run.nowMs)) return;
    if (!this.#run.dryRun) rmSync(path, { force: true });
  }

  #lastLogin(): number | undefined {
    return ifThereSync(() => lstatSync(join(this.#home, "password")).mtimeMs);
  }

  /**
   * An interrupted account creation leaves only the flag file. After a day it is safe to remove.
   */
  #removeIfEmpty(): void {
    const names = (entriesOf(this.#home) ?? []).map((entry) => entry.name);
    const changed = ifThereSync(() => lstatSync(this.#home).mtimeMs) ?? this.#run.nowMs;
    if (names.some((name) => name !== encryptedOnlyFlag) || !isOlder(changed, 1, this.#run.nowMs)) {
      this.#counts.accountsSkipped++;
      return;
    }
    this.#counts.accountsRemoved++;
    if (this.#run.dryRun) return;
    for (const name of names) rmSync(join(this.#home, name), { force: true });
    rmdirSync(this.#home);
  }

  #removeAccount(): void {
    this.#counts.accountsRemoved++;
    if (this.#run.dryRun) return;
    for (const entry of entriesOf(this.#home) ?? []) {
      if (entry.name !== "password") rmSync(join(this.#home, entry.name), { recursive: true, force: true });
    }
    rmSync(this.#home, { recursive: true, force: true });
  }

  /** Regular files in every cur, new and tmp, at any depth. */
  #messages(folder: string, inInbox: boolean): Found[] {
    return (entriesOf(folder) ?? []).flatMap((entry) => {
      if (!entry.isDirectory()) return [];
      const path = join(folder, entry.name);
      return isMessageFolder(entry.name) ? this.#filesIn(path, entry.name, inInbox) : this.#messages(path, false);
    });
  }

  #filesIn(path: string, folder: Message["folder"], inInbox: boolean): Found[] {
    const found: Found[] = [];
    for (const entry of entriesOf(path) ?? []) {
      const file = join(path, entry.name);
      const stat = entry.isFile() ? ifThereSync(() => lstatSync(file)) : undefined;
      if (!stat) continue;
      const bytes = parseMaildirName(entry.name)?.bytes ?? stat.size;
      found.push({ name: entry.name, path: file, folder, mtimeMs: stat.mtimeMs, bytes, inInbox });
    }
    return found;
  }

  #removeMessage(message: Found): boolean {
    try {
      if (!this.#run.dryRun && ifThereSync(() => unlinkSync(message.path) ?? true) === undefined) return false;
    } catch {
      this.#counts.failures++;
      return false;
    }
    this.#counts.messagesRemoved++;
    this.#counts.bytesRemoved += message.bytes;
    return true;
  }
}

function isMessageFolder(name: string): name is Message["folder"] {
  return name === "cur" || name === "new" || name === "tmp";
}

function entriesOf(folder: string): Dirent[] | undefined {
  return ifThereSync(() => readdirSync(folder, { withFileTypes: true }));
}
