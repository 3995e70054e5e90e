/**
 * Writes messages into Maildirs, as Dovecot's LMTP does: compressed, on the disk when it resolves,
 * and nothing is there before it is whole. A session that waits sees the file come, and gives it
 * its number. So a delivery costs no other process, and no second look at the mailbox (decision
 * 0063).
 */
import { open, rename, rm } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzip, gzipSync } from "node:zlib";
import { syncToDisk } from "../../lib/sync-to-disk.ts";
import { codeOf } from "../../lib/text.ts";
import { writeSynced } from "../files.ts";
import type { StoredText } from "./content.ts";

export interface MaildirOptions {
  /** An account's mailbox could not be written to, whatever the reason. */
  onFailure: (thrown: unknown) => void;
}

/** Longer than a session takes for its look, and than the clock of a file system's times. */
const announceMs = 25;
/** What comes to one mailbox within this time is a burst. */
const burstMs = 500;
/** More would keep the event loop for milliseconds. */
const mostAtOnceBytes = 64 << 10;
/** Dovecot leaves files alone that begin with a dot. */
const announcement = ".announcement";

export class Maildirs {
  readonly #options: MaildirOptions;
  readonly #host = hostname().replace(/[/:,]/g, "_");
  /** By home, those that got a message within a burst's time. */
  readonly #recent = new Map<string, { count: number; timer: NodeJS.Timeout }>();
  #count = 0;
  #last = { ms: 0, nth: 0 };

  constructor(options: MaildirOptions) {
    this.#options = options;
  }

  /**
   * Whether the message is in the INBOX, on the disk. Where there is no mailbox yet, it is
   * Dovecot's to make.
   */
  async write(home: string, { text, lines }: StoredText): Promise<boolean> {
    const name = this.#name();
    const temporary = join(home, "tmp", name);
    const folder = join(home, "new");
    try {
      await writeSynced(temporary, await compressed(text));
      await rename(temporary, join(folder, `${name},S=${text.length},W=${text.length + lines}`));
      await syncToDisk(folder);
    } catch (thrown) {
      await rm(temporary, { force: true }).catch(() => undefined);
      if (codeOf(thrown) !== "ENOENT") this.#options.onFailure(thrown);
      return false;
    }
    this.#announceLater(home);
    return true;
  }

  close(): void {
    for (const { timer } of this.#recent.values()) clearTimeout(timer);
    this.#recent.clear();
  }

  /**
   * As Maildir wants it: the time in seconds, and what is unique within it. Dovecot numbers
   * messages in this order, by microseconds: those of one millisecond count up.
   */
  #name(): string {
    const ms = Date.now();
    this.#last = ms === this.#last.ms ? { ms, nth: this.#last.nth + 1 } : { ms, nth: 0 };
    const micros = String((ms % 1000) * 1000 + this.#last.nth).padStart(6, "0");
    return `${Math.floor(ms / 1000)}.M${micros}P${process.pid}Q${this.#count++}.${this.#host}`;
  }

  /**
   * A session that looks into the folder just then may miss a message, and see no reason to look
   * again (decision 0062). Of a burst the last one would be late, so it is announced once more.
   */
  #announceLater(home: string): void {
    const recent = this.#recent.get(home);
    clearTimeout(recent?.timer);
    const count = (recent?.count ?? 0) + 1;
    const forget = () => this.#recent.delete(home);
    const announce = () => {
      this.#recent.set(home, { count: 1, timer: setTimeout(forget, burstMs).unref() });
      announceIn(join(home, "new")).catch(this.#options.onFailure);
    };
    const timer = count > 1 ? setTimeout(announce, announceMs) : setTimeout(forget, burstMs);
    this.#recent.set(home, { count, timer: timer.unref() });
  }
}

/** Changes the folder's time and tells who watches it; leaves nothing there. */
async function announceIn(folder: string): Promise<void> {
  const path = join(folder, announcement);
  try {
    await (await open(path, "w", 0o600)).close();
    await rm(path, { force: true });
  } catch (thrown) {
    // the account has been deleted meanwhile
    if (codeOf(thrown) !== "ENOENT") throw thrown;
  }
}

const gzipAside = promisify(gzip);
const compressed = (text: Buffer): Buffer | Promise<Buffer> =>
  text.length > mostAtOnceBytes ? gzipAside(text) : gzipSync(text);
