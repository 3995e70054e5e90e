/**
 * How often, and how much, each address may send, over a restart: the turns that somebody has taken
 * and not got back yet are in a file on the volume, written at the end and, after a crash, a minute
 * old at most. The file is a help, not a truth: if it is unreadable, the table starts empty.
 */
import { join } from "node:path";
import type { Logger } from "pino";
import * as z from "zod";
import { codeOf } from "../../lib/text.ts";
import type { Domains } from "../domains.ts";
import * as events from "../events.ts";
import { readIfThere, replaceFile } from "../files.ts";
import { type FullAt, type Rate, RateLimiter } from "../rate.ts";

export interface SenderRatesOptions {
  config: Domains;
  log: Logger;
  now: () => number;
  /** Addresses written; of more, those that wait longest. */
  size?: number;
  /** Turns are written together, this long after the first. */
  writeAfterMs?: number;
}

/** Beside the folders of the domains; no domain begins with a dot. */
const fileName = ".rates.json";

const Saved = z.object({ version: z.literal(1), fullAt: z.record(z.string(), z.number()) });

export class SenderRates {
  readonly #options: SenderRatesOptions;
  readonly #limiter: RateLimiter;
  #writing: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  /** Whether the file may name somebody. */
  #namesSomebody: boolean;

  private constructor(options: SenderRatesOptions, saved: FullAt) {
    this.#options = options;
    this.#limiter = new RateLimiter(options.now, saved);
    this.#namesSomebody = saved.length > 0;
    if (this.#namesSomebody) this.#writeLater();
  }

  static async open(options: SenderRatesOptions): Promise<SenderRates> {
    return new SenderRates(options, await readSaved(options));
  }

  /** As RateLimiter.take. */
  take(key: string, rate: Rate, turns = 1): Date | undefined {
    const until = this.#limiter.take(key, rate, turns);
    if (until === undefined) this.#writeLater();
    return until;
  }

  /** As RateLimiter.next. */
  next(key: string, rate: Rate, turns = 1): Date | undefined {
    return this.#limiter.next(key, rate, turns);
  }

  /** Writes what is not written yet. */
  async close(): Promise<void> {
    if (this.#timer) await this.#write();
    await this.#writing;
    clearTimeout(this.#timer);
  }

  #writeLater(): void {
    this.#timer ??= setTimeout(() => void this.#write(), this.#options.writeAfterMs ?? 60_000).unref();
  }

  /** Once more after a file with names: who may send again as ever is not kept in it. */
  #write(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const left = longest(this.#limiter.left(), this.#options.size);
    if (left.length === 0 && !this.#namesSomebody) return this.#writing;
    this.#namesSomebody = left.length > 0;
    if (this.#namesSomebody) this.#writeLater();
    const saved: z.infer<typeof Saved> = { version: 1, fullAt: Object.fromEntries(left) };
    this.#writing = this.#writing
      .then(() => replaceFile(pathOf(this.#options), JSON.stringify(saved)))
      .catch((thrown: unknown) => {
        events.ratesNotWritten(this.#options.log, thrown);
        this.#namesSomebody = true;
        this.#writeLater();
      });
    return this.#writing;
  }
}

const pathOf = ({ config }: SenderRatesOptions) => join(config.mailFolder, fileName);

const longest = (left: FullAt, size = 10_000): FullAt =>
  left.length <= size ? left : left.toSorted(([, a], [, b]) => b - a).slice(0, size);

/** In the table, beside the address itself, whose turns are mails; no address has a space. */
export const bytesKey = (address: string) => `bytes ${address}`;

/**
 * How long a burst takes to be full again. No date is further away, but where the clock was set
 * back.
 */
function slowestMs({ domains }: Domains, key: string): number {
  const times = Object.values(domains).map((each) =>
    key.startsWith(bytesKey(""))
      ? (each.sendBytesBurst * 60_000) / each.sendBytesPerMinute
      : (each.sendBurst * 60_000) / each.sendRatePerMinute,
  );
  return Math.max(0, ...times);
}

async function readSaved(options: SenderRatesOptions): Promise<FullAt> {
  try {
    const text = await readIfThere(pathOf(options));
    const saved = text === undefined ? [] : Object.entries(Saved.parse(JSON.parse(text)).fullAt);
    return longest(saved, options.size).map(([key, fullAt]) => [
      key,
      Math.min(fullAt, options.now() + slowestMs(options.config, key)),
    ]);
  } catch (thrown) {
    events.ratesNotRead(options.log, codeOf(thrown));
    return [];
  }
}
