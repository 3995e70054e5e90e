/**
 * What was learnt about domains: a bounded table in memory, the one used longest ago goes first, and a file on the volume that brings it
 * back after a restart. The file is a help, not a truth: unreadable, it is started anew.
 */
import type { Logger } from "pino";
import * as z from "zod"; // as a namespace: `{ z }` would bring all of zod into the bundle, 12 MB at rest
import * as events from "../events.ts";
import { readIfThere, replaceFile } from "../files.ts";
import { isHostName, literalAddress } from "./domain.ts";
import type { Known } from "./policy.ts";

export interface KnowledgeOptions {
  path: string;
  log: Logger;
  /** Domains remembered. */
  size?: number;
  /** Changes are written together, this long after the first. */
  writeAfterMs?: number;
}

const Saved = z.object({
  version: z.literal(1),
  domains: z.record(
    z.string(),
    z.object({
      road: z
        .object({
          state: z.enum(["yes", "no", "broken", "unreached"]),
          hosts: z.array(z.string().refine((host) => isHostName(host) || literalAddress(`[${host}]`) !== undefined)),
          failures: z.int().min(0),
          lookAt: z.number(),
          tooLargeBytes: z.number().exactOptional(),
        })
        .exactOptional(),
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

export class Knowledge {
  readonly #options: KnowledgeOptions;
  readonly #known = new Map<string, Known>();
  #writing: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;

  private constructor(options: KnowledgeOptions) {
    this.#options = options;
  }

  static async open(options: KnowledgeOptions): Promise<Knowledge> {
    const knowledge = new Knowledge(options);
    for (const [domain, known] of Object.entries(await readSaved(options))) knowledge.#put(domain, known);
    return knowledge;
  }

  get(domain: string): Known | undefined {
    const known = this.#known.get(domain);
    if (known) this.#put(domain, known);
    return known;
  }

  /** Puts `change` over what is known of the domain. */
  learn(domain: string, change: Known): void {
    this.#put(domain, { ...this.#known.get(domain), ...change });
    this.#timer ??= setTimeout(() => void this.#write(), this.#options.writeAfterMs ?? 2000).unref();
  }

  /** Writes what is not written yet. */
  async close(): Promise<void> {
    if (this.#timer) await this.#write();
    await this.#writing;
  }

  #put(domain: string, known: Known): void {
    this.#known.delete(domain);
    this.#known.set(domain, known);
    const [oldest] = this.#known.keys();
    if (this.#known.size > (this.#options.size ?? 10_000) && oldest !== undefined) this.#known.delete(oldest);
  }

  #write(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#writing = this.#writing
      .then(() => {
        const saved: z.infer<typeof Saved> = { version: 1, domains: Object.fromEntries(this.#known) as never };
        return replaceFile(this.#options.path, JSON.stringify(saved));
      })
      .catch((thrown: unknown) => events.roadsNotWritten(this.#options.log, thrown));
    return this.#writing;
  }
}

async function readSaved({ path, log }: KnowledgeOptions): Promise<Record<string, Known>> {
  try {
    const text = await readIfThere(path);
    return text === undefined ? {} : Saved.parse(JSON.parse(text)).domains;
  } catch (thrown) {
    events.roadsNotRead(log, thrown);
    return {};
  }
}
