/**
 * Has Postfix and Dovecot report, once a minute: their containers write what they know of their
 * queue and their sessions to files (image/with-plan), and the daemon reads these when somebody
 * asks.
 */
import { join } from "node:path";
import type { Logger } from "pino";
import * as events from "../events.ts";
import { readIfThere } from "../files.ts";
import { tellProgram } from "../programs.ts";
import { type QueueFigures, queueFigures, type SessionFigures, sessionFigures } from "./policy.ts";

const reporters = ["postfix", "dovecot"] as const;
type Reporter = (typeof reporters)[number];

const everyMs = 60_000;
/** Until both have reported: the programs of a pod start one after the other. */
const startEveryMs = 5_000;

export interface ReportOptions {
  settings: { runFolder: string };
  log: Logger;
  now: () => number;
}

export class ProgramReports {
  readonly #options: ReportOptions;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: ReportOptions) {
    this.#options = options;
  }

  start(): void {
    for (const program of reporters) this.#ask(program);
    this.#next(startEveryMs);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  async queue(): Promise<QueueFigures | undefined> {
    return queueFigures(await this.#read("postfix"), this.#options.now());
  }

  async sessions(): Promise<SessionFigures | undefined> {
    return sessionFigures(await this.#read("dovecot"), this.#options.now());
  }

  #next(ms: number): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => void this.#round(), ms);
    this.#timer.unref();
  }

  async #round(): Promise<void> {
    const haveReported = await Promise.all([this.queue(), this.sessions()]);
    for (const program of reporters) this.#ask(program);
    this.#next(haveReported.every((each) => each !== undefined) ? everyMs : startEveryMs);
  }

  #ask(program: Reporter): void {
    const { settings, log } = this.#options;
    try {
      tellProgram(settings.runFolder, program, "report");
    } catch (thrown) {
      events.reloadNotAsked(log, program, thrown);
    }
  }

  async #read(program: Reporter): Promise<string | undefined> {
    // what can't be read is missing in the figures
    return readIfThere(join(this.#options.settings.runFolder, `figures-${program}`)).catch(() => undefined);
  }
}
