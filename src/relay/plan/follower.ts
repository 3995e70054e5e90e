/**
 * Follows the plan while the pod runs. A plan that is new is tried by everybody, which changes
 * nothing: this daemon reads it, Postfix, Dovecot and nginx render and check it in their containers
 * (src/pod/configure.ts). Only when all of them can use it, all of them do; then it is kept on the
 * volume as the last good one. One that somebody can't use is used by nobody: the pod stays at the
 * last good one, and `problem` says why.
 *
 * It looks by the clock, as at the certificate: watches (inotify) are what Dovecots on a node run
 * short of.
 */
import { basename, join } from "node:path";
import type { Logger } from "pino";
import * as z from "zod";
import { messageOf } from "../../lib/text.ts";
import type { PlanReport } from "../../pod/configure.ts";
import { planReport } from "../../pod/layout.ts";
import { type Plan, PlanError, parsePlan } from "../../pod/plan.ts";
import { type PlanPlaces, planHash } from "../../pod/plan-files.ts";
import * as events from "../events.ts";
import { readIfThere, replaceFile } from "../files.ts";
import { programs as allPrograms, type Program, tellProgram } from "../programs.ts";

export interface FollowerOptions {
  places: PlanPlaces;
  runFolder: string;
  log: Logger;
  /** The text that the daemon has started with. */
  text: string;
  /**
   * Throws PlanError where the daemon can't use this plan. Makes what the programs need to try it;
   * changes nothing that is in use.
   */
  check(plan: Plan): Promise<void>;
  /** The daemon goes by this plan from now on. */
  use(plan: Plan): Promise<void>;
  /** Nobody goes by another plan than this one any more. */
  usedByAll(): Promise<void>;
  programs?: readonly Program[];
  checkEveryMs?: number;
  /** How long all programs together may take for an answer. */
  patienceMs?: number;
}

export interface PlanStatus {
  /** Digest of the plan that the pod has been given. */
  given?: string;
  /** Digest of the plan that all programs go by; undefined while it is not known. */
  used?: string;
  /** Why the given one is not used. */
  problem?: string;
}

/** Written by our own program, into a folder that all containers can write to. */
const Report = z.object({
  current: z.string().optional(),
  tried: z.string().optional(),
  problem: z.string().max(2000).optional(),
});

/** Postfix, Dovecot and nginx start while the daemon looks for the first time. */
const patienceMs = 45_000;
const checkEveryMs = 1_000;
const askAgainMs = 3_000;
const reportEveryMs = 100;

type Verb = "try" | "use";

export class PlanFollower {
  readonly #options: FollowerOptions;
  readonly #programs: readonly Program[];
  /** By this daemon. */
  #used: string;
  #usedByAll: string | undefined;
  #given: string | undefined;
  /** What became of the given plan is known, and stays so until there is another. */
  #settled: string | undefined;
  #problem: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #checking: Promise<void> = Promise.resolve();
  readonly #stopping = new AbortController();

  constructor(options: FollowerOptions) {
    this.#options = options;
    this.#programs = options.programs ?? allPrograms;
    this.#used = planHash(options.text);
  }

  start(): void {
    this.#checking = this.#check().finally(() => {
      if (!this.#stopping.signal.aborted)
        this.#timer = setTimeout(() => this.start(), this.#options.checkEveryMs ?? checkEveryMs);
    });
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    clearTimeout(this.#timer);
    await this.#checking;
  }

  status(): PlanStatus {
    return {
      ...(this.#given !== undefined && { given: this.#given }),
      ...(this.#usedByAll !== undefined && { used: this.#usedByAll }),
      ...(this.#problem !== undefined && { problem: this.#problem }),
    };
  }

  async #check(): Promise<void> {
    try {
      const text = await readIfThere(this.#options.places.given);
      if (text === undefined) return this.#refuse("there is no plan");
      this.#given = planHash(text);
      if (this.#given === this.#settled) return;
      await this.#settle(text, this.#given);
    } catch (thrown) {
      // somebody is starting, or the volume is full: tried again
      this.#refuse(messageOf(thrown));
    }
  }

  async #settle(text: string, hash: string): Promise<void> {
    const problem = await this.#problemWith(text, hash);
    if (problem === undefined) {
      await this.#useEverywhere(text, hash);
      this.#usedByAll = hash;
      this.#problem = undefined;
      await replaceFile(this.#options.places.last, text);
    } else {
      this.#refuse(problem);
      await this.#backToLast(hash);
    }
    this.#settled = hash;
  }

  /** Why somebody can't use it. Throws where somebody has not answered. */
  async #problemWith(text: string, hash: string): Promise<string | undefined> {
    try {
      await this.#options.check(parsePlan(text));
    } catch (thrown) {
      if (thrown instanceof PlanError) return thrown.message;
      throw thrown;
    }
    const reports = await this.#ask("try", hash, ({ current, tried }) => current === hash || tried === hash);
    return reports.find(({ current, problem }) => current !== hash && problem !== undefined)?.problem;
  }

  async #useEverywhere(text: string, hash: string): Promise<void> {
    if (this.#used !== hash) {
      await this.#options.use(parsePlan(text));
      this.#used = hash;
      events.planUsed(this.#options.log, hash);
    }
    await this.#ask("use", hash, ({ current }) => current === hash);
    await this.#options.usedByAll();
  }

  /** Who has started with a plan that another can't use goes back to the one that all could. */
  async #backToLast(refused: string): Promise<void> {
    const text = await readIfThere(this.#options.places.last);
    if (text === undefined) return;
    const hash = planHash(text);
    const reports = await this.#reports();
    if (hash === refused || (this.#used === hash && reports.every(({ current }) => current === hash))) return;
    if ((await this.#problemWith(text, hash)) !== undefined) return;
    await this.#useEverywhere(text, hash);
    this.#usedByAll = hash;
  }

  /** What all programs report once each has done what it is asked for. */
  async #ask(verb: Verb, hash: string, done: (report: PlanReport) => boolean): Promise<PlanReport[]> {
    const { signal } = this.#stopping;
    const start = performance.now();
    let askedAt = Number.NEGATIVE_INFINITY;
    for (;;) {
      const reports = await this.#reports();
      const missing = this.#programs.filter((_, nth) => !done(reports[nth] ?? {}));
      if (missing.length === 0) return reports;
      const now = performance.now();
      if (signal.aborted || now - start > (this.#options.patienceMs ?? patienceMs))
        throw new Error(`${missing.join(" and ")}: no answer yet`);
      if (now - askedAt > askAgainMs) {
        askedAt = now;
        for (const program of missing) this.#tell(program, `${verb} ${hash}`);
      }
      await new Promise((resolve) => setTimeout(resolve, reportEveryMs));
    }
  }

  async #reports(): Promise<PlanReport[]> {
    return Promise.all(
      this.#programs.map(async (program) => {
        const text = await readIfThere(join(this.#options.runFolder, basename(planReport(program))));
        try {
          return text === undefined ? {} : (Report.parse(JSON.parse(text)) as PlanReport);
        } catch {
          return {};
        }
      }),
    );
  }

  #refuse(why: string): void {
    if (this.#problem !== why && !this.#stopping.signal.aborted) events.planRefused(this.#options.log, why);
    this.#problem = why;
  }

  #tell(program: Program, line: string): void {
    try {
      tellProgram(this.#options.runFolder, program, line);
    } catch (thrown) {
      events.reloadNotAsked(this.#options.log, program, thrown);
    }
  }
}
