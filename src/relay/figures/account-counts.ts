/**
 * How many accounts each domain has, as their folders say. Counted when somebody asks, and not more
 * often than is worth it: a large domain's folder takes a while to read.
 */
import { opendir } from "node:fs/promises";
import { join } from "node:path";
import { codeOf } from "../../lib/text.ts";

/**
 * By the names that other chatmail relays count them under: made by a test (`ci-`), or by a user.
 */
export interface AccountCounts {
  all: number;
  ci: number;
  user: number;
}

const recountAfterMs = 30_000;

export class CountedAccounts {
  readonly #options: { folder: () => string; domains: () => readonly string[]; now: () => number };
  #counted: { at: number; counts: Record<string, AccountCounts> } | undefined;
  #counting: Promise<Record<string, AccountCounts>> | undefined;

  constructor(options: { folder: () => string; domains: () => readonly string[]; now: () => number }) {
    this.#options = options;
  }

  /** By domain. */
  counts(): Promise<Record<string, AccountCounts>> {
    const { now } = this.#options;
    if (this.#counted && now() - this.#counted.at < recountAfterMs) return Promise.resolve(this.#counted.counts);
    this.#counting ??= this.#count().finally(() => {
      this.#counting = undefined;
    });
    return this.#counting;
  }

  async #count(): Promise<Record<string, AccountCounts>> {
    const { folder, domains, now } = this.#options;
    const counts: Record<string, AccountCounts> = {};
    for (const domain of domains()) counts[domain] = await countIn(join(folder(), domain));
    this.#counted = { at: now(), counts };
    return counts;
  }
}

async function countIn(domainFolder: string): Promise<AccountCounts> {
  const counts = { all: 0, ci: 0, user: 0 };
  try {
    for await (const entry of await opendir(domainFolder, { bufferSize: 1_024 })) {
      // the relay's own probes have ~ in their names
      if (!entry.isDirectory() || !entry.name.includes("@") || entry.name.includes("~")) continue;
      counts.all++;
      counts[entry.name.startsWith("ci-") ? "ci" : "user"]++;
    }
  } catch (thrown) {
    if (codeOf(thrown) !== "ENOENT") throw thrown;
  }
  return counts;
}
