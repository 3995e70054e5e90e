/**
 * Sends what is left in the queue of a server that is about to be deleted, and says how much that
 * is. Postfix's container does both when it is told so (image/with-plan): the daemon has no part in
 * the queue.
 */
import { basename, join } from "node:path";
import type { Logger } from "pino";
import * as z from "zod";
import { queueReport } from "../../pod/layout.ts";
import * as events from "../events.ts";
import { readIfThere } from "../files.ts";
import { tellProgram } from "../programs.ts";

export interface LastMailOptions {
  settings: { closing?: boolean | undefined; runFolder: string };
  log: Logger;
  everyMs?: number;
}

/** `left`: messages in the queue; undefined until it was counted. */
export interface ClosingStatus {
  left?: number;
}

const Report = z.object({ round: z.int(), messages: z.int().min(0) });

const everyMs = 2_000;
/** Each this many rounds all that waits is tried once more. */
const flushEvery = 15;

export class LastMail {
  readonly #options: LastMailOptions;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #round = 0;
  /** A message that moves from one folder of the queue to another may be missed once. */
  #emptyRounds = 0;
  #left: number | undefined;

  constructor(options: LastMailOptions) {
    this.#options = options;
  }

  /** After each change of the settings: begins and ends as they say. */
  follow(): void {
    const { closing } = this.#options.settings;
    if (closing && !this.#timer) {
      events.closing(this.#options.log);
      this.#next();
    }
    if (closing || !this.#timer) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#left = undefined;
    this.#emptyRounds = 0;
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  /** Undefined where the server goes on. */
  status(): ClosingStatus | undefined {
    if (!this.#options.settings.closing) return undefined;
    return this.#left === undefined ? {} : { left: this.#left };
  }

  #next(): void {
    this.#tell();
    this.#timer = setTimeout(() => {
      this.#read()
        .catch((thrown: unknown) => events.answerFailed(this.#options.log, "queue report", thrown))
        .finally(() => {
          if (!this.#stopped && this.#options.settings.closing) this.#next();
        });
    }, this.#options.everyMs ?? everyMs);
  }

  #tell(): void {
    const { settings, log } = this.#options;
    this.#round++;
    const verb = this.#round % flushEvery === 1 ? "flush" : "count";
    try {
      tellProgram(settings.runFolder, "postfix", `${verb} ${this.#round}`);
    } catch (thrown) {
      events.reloadNotAsked(log, "postfix", thrown);
    }
  }

  async #read(): Promise<void> {
    const { settings, log } = this.#options;
    const text = await readIfThere(join(settings.runFolder, basename(queueReport)));
    if (text === undefined) return;
    const { round, messages } = Report.parse(JSON.parse(text));
    // Postfix's container has not come to it yet
    if (round !== this.#round) return;
    this.#emptyRounds = messages === 0 ? this.#emptyRounds + 1 : 0;
    if (messages === 0 && this.#emptyRounds < 2) return;
    if (messages === 0 && this.#left !== 0) events.queueEmpty(log);
    this.#left = messages;
  }
}
