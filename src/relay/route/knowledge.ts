/**
 * What was learnt about domains: a table in memory of so many domains and so many bytes, from which
 * the one used longest ago is removed first, and a file on the volume that brings it back after a
 * restart. What was not used for a month is forgotten, in the file too: it says to whom mail was
 * sent. The file is a help, not a truth: if it is unreadable, the table starts empty.
 */
import { rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Logger } from "pino";
import * as z from "zod";
import * as events from "../events.ts";
import { readIfThere, replaceFile } from "../files.ts";
import { isHostName, literalAddress } from "./domain.ts";
import type { Known } from "./policy.ts";

export interface KnowledgeOptions {
  path: string;
  log: Logger;
  now: () => number;
  /** Domains remembered. */
  size?: number;
  /**
   * Bytes of all of them in the file: it is written in one piece, and nobody else is served
   * meanwhile (some 7 ms for a MiB).
   */
  bytes?: number;
  /**
   * Changes are written together, this long after the first. A crash loses no more than what can be
   * looked up again.
   */
  writeAfterMs?: number;
}

const day = 86_400_000;
const keptMs = 30 * day;

const Saved = z.object({
  version: z.literal(1),
  domains: z.record(
    z.string(),
    z.object({
      https: z
        .object({
          state: z.enum(["yes", "no", "broken", "unreached"]),
          hosts: z.array(z.string().refine((host) => isHostName(host) || literalAddress(`[${host}]`) !== undefined)),
          failures: z.int().min(0),
          lookAt: z.number(),
          tooLargeBytes: z.number().exactOptional(),
        })
        .exactOptional(),
      /** When it was used last; a file of an earlier version has none. */
      usedAt: z.number().default(0),
      sts: z
        .object({
          id: z.string(),
          mode: z.enum(["enforce", "testing", "none"]),
          mx: z.array(z.string().regex(/^[a-z0-9_.*-]+$/)),
          until: z.number(),
        })
        .exactOptional(),
    }),
  ),
});

interface Entry {
  known: Known;
  usedAt: number;
  /** As long as it is in the file, or a little less. */
  bytes: number;
}

export class Knowledge {
  readonly #options: KnowledgeOptions;
  /** The one used longest ago first. */
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;
  #writing: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;

  private constructor(options: KnowledgeOptions) {
    this.#options = options;
  }

  static async open(options: KnowledgeOptions): Promise<Knowledge> {
    const knowledge = new Knowledge(options);
    const now = options.now();
    for (const [domain, { usedAt, ...known }] of Object.entries(await readSaved(options))) {
      knowledge.#put(domain, known, usedAt === 0 ? now : Math.min(usedAt, now));
    }
    return knowledge;
  }

  get(domain: string): Known | undefined {
    const entry = this.#entries.get(domain);
    if (!entry || this.#isStale(entry)) return undefined;
    // to the end of the map
    this.#entries.delete(domain);
    this.#entries.set(domain, { ...entry, usedAt: this.#options.now() });
    return entry.known;
  }

  /** Puts `change` over what is known of the domain. */
  learn(domain: string, change: Known): void {
    this.#put(domain, { ...this.get(domain), ...change }, this.#options.now());
    this.#timer ??= setTimeout(() => void this.#write(), this.#options.writeAfterMs ?? 30_000).unref();
  }

  /** Writes what is not written yet. */
  async close(): Promise<void> {
    if (this.#timer) await this.#write();
    await this.#writing;
  }

  #put(domain: string, known: Known, usedAt: number): void {
    this.#remove(domain);
    const bytes = domain.length + JSON.stringify(known).length;
    this.#entries.set(domain, { known, usedAt, bytes });
    this.#bytes += bytes;
    const { size = 10_000, bytes: most = 4 << 20 } = this.#options;
    for (const [oldest, entry] of this.#entries) {
      const isFull = this.#entries.size > size || this.#bytes > most;
      if (!(isFull || this.#isStale(entry)) || this.#entries.size === 1) break;
      this.#remove(oldest);
    }
  }

  #remove(domain: string): void {
    this.#bytes -= this.#entries.get(domain)?.bytes ?? 0;
    this.#entries.delete(domain);
  }

  #isStale({ usedAt }: Entry): boolean {
    return this.#options.now() - usedAt > keptMs;
  }

  #write(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#writing = this.#writing
      .then(() => {
        const left = [...this.#entries].filter(([, entry]) => !this.#isStale(entry));
        const domains = Object.fromEntries(left.map(([domain, { known, usedAt }]) => [domain, { ...known, usedAt }]));
        const saved: z.input<typeof Saved> = { version: 1, domains: domains as never };
        return replaceFile(this.#options.path, JSON.stringify(saved));
      })
      .catch((thrown: unknown) => events.destinationsNotWritten(this.#options.log, thrown));
    return this.#writing;
  }
}

type SavedDomain = Known & { usedAt: number };

async function readSaved({ path, log }: KnowledgeOptions): Promise<Record<string, SavedDomain>> {
  try {
    await takeEarlier(path);
    const text = await readIfThere(path);
    return text === undefined ? {} : Saved.parse(JSON.parse(text)).domains;
  } catch (thrown) {
    events.destinationsNotRead(log, thrown);
    return {};
  }
}

/**
 * The file as it was called first, with `road` for `https`. It is removed, since it names those to
 * whom mail was sent.
 */
async function takeEarlier(path: string): Promise<void> {
  const earlier = join(dirname(path), ".roads.json");
  const text = await readIfThere(earlier);
  if (text === undefined) return;
  if ((await readIfThere(path)) === undefined) await replaceFile(path, text.replaceAll('"road":', '"https":'));
  await rm(earlier, { force: true });
}
