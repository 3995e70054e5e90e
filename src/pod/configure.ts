/**
 * Makes the configuration of one program from the plan, in the container of that program: render,
 * check with the program's own checker, use.
 *
 * The folder of a part, which no other container can write to, holds what was rendered last
 * (`plan-HASH`; with `plan-HASH.same` beside it where the program has nothing to read anew: nginx
 * reads pages for each request) and the link `current` to what the program reads. A plan that can't
 * be used leaves `current` as it is. What was found goes into a report beside the sockets, where
 * the relay daemon reads it. `image/with-plan` moves the link when the daemon says so.
 */
import { execFile } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { messageOf } from "../lib/text.ts";
import { type Files, type Part, partFiles, partFolders } from "./files.ts";
import { planReport, servedTls } from "./layout.ts";
import { type Plan, PlanError } from "./plan.ts";
import { type GivenPlan, planPlaces, readPlan, withPlan } from "./plan-files.ts";

/** What a program has made of the plan. */
export interface PlanReport {
  /** The plan whose configuration the program reads. */
  current?: string;
  /** The plan that was rendered and checked last; with `problem`, why it can't be used. */
  tried?: string;
  problem?: string;
}

/** Says what is wrong with the configuration in this folder, and nothing where it is fine. */
type Checker = (folder: string) => Promise<void>;

const patienceMs = 20_000;

/**
 * Postfix opens its standard output by name, which works with a pipe and not with the socket that
 * Node gives to its children.
 */
const behindPipe = ["/bin/bash", "-o", "pipefail", "-c", '"$@" 2>&1 | cat >&2', "check"] as const;

const run = async (...command: readonly [string, ...string[]]) => {
  const [program, ...args] = command;
  try {
    await promisify(execFile)(program, args, { timeout: patienceMs, maxBuffer: 2 ** 24 });
  } catch (thrown) {
    const { stderr = "" } = thrown as { stderr?: string };
    const lines = stderr
      .trim()
      .split("\n")
      .filter((line) => line !== "");
    const cause = lines.find((line) => /error|fatal|emerg/i.test(line)) ?? lines[0] ?? messageOf(thrown);
    throw new PlanError(cause.slice(0, 500));
  }
};

const checkers: Record<Part, Checker> = {
  postfix: async (folder) => {
    // says what is wrong with a line of master.cf; the other one with all else
    await run(...behindPipe, "/usr/sbin/postconf", "-c", folder, "-M");
    await run(...behindPipe, "/usr/sbin/postfix", "-c", folder, "check-fatal");
  },
  dovecot: (folder) => run("/usr/bin/doveconf", "-n", "-c", join(folder, "dovecot.conf")),
  web: (folder) => run("/usr/sbin/nginx", "-t", "-q", "-c", join(folder, "nginx.conf"), "-e", "stderr"),
  turn: async () => {},
};

/**
 * Those that read certificates as they start; Dovecot's checker reads them, too. Postfix's takes
 * long enough to be done before they are there.
 */
const readsCertificates: Partial<Record<Part, "program" | "checker">> = { postfix: "program", dovecot: "checker" };

export class Configuration {
  readonly #part: Part;
  readonly #current: string;

  constructor(part: Part) {
    this.#part = part;
    this.#current = partFolders[part];
  }

  /**
   * For the start: the given plan, or the last good one where that can't be used. Throws PlanError
   * where there is neither.
   */
  async start(): Promise<void> {
    let refused: string | undefined;
    try {
      await withPlan(planPlaces, async (given, problem) => {
        refused = problem;
        const prepared = await this.#prepare(given, { wait: true });
        if (readsCertificates[this.#part]) await certificatesServed(given.plan);
        this.#use(prepared);
        this.#report({ current: given.hash, ...(problem !== undefined && { tried: failedHash(), problem }) });
      });
    } catch (thrown) {
      this.#report({ tried: failedHash(), problem: refused ?? messageOf(thrown) });
      throw thrown;
    }
  }

  /** Renders and checks the plan with this digest, and reports what came of it. */
  async try(hash: string): Promise<void> {
    const { current } = this.#reported();
    const report = (more: PlanReport) =>
      this.#report({ ...(current !== undefined && { current }), tried: hash, ...more });
    try {
      await this.#prepare(givenWith(hash), { wait: false });
      report({});
    } catch (thrown) {
      if (!(thrown instanceof PlanError)) throw thrown;
      report({ problem: thrown.message });
    }
  }

  /**
   * Whether this image can use the plan with this digest, which is given or about to be; throws
   * PlanError where it can't. Nothing is used or reported, and there need be no certificate.
   */
  async check(hash: string): Promise<void> {
    const given = await givenSoon(hash);
    if (readsCertificates[this.#part] === "checker") standInCertificates(given.plan);
    await this.#prepare(given, { wait: false });
  }

  #preparedAt(hash: string): string {
    return join(dirname(this.#current), `plan-${hash}`);
  }

  async #prepare({ plan, hash }: GivenPlan, { wait }: { wait: boolean }): Promise<string> {
    const folder = this.#preparedAt(hash);
    const current = this.#currentFolder();
    // what the program reads now is not written to
    if (current === folder) return folder;
    this.#removeOthers(current);
    writeFiles(folder, partFiles(this.#part, plan));
    if (current !== undefined && isSame(configurationIn(current), configurationIn(folder))) {
      writeFileSync(`${folder}.same`, "");
      return folder;
    }
    if (wait && readsCertificates[this.#part] === "checker") await certificatesServed(plan);
    try {
      await checkers[this.#part](folder);
    } catch (thrown) {
      this.#removeOthers(current);
      throw new PlanError(`${this.#part}: ${messageOf(thrown).replaceAll(folder, this.#current)}`);
    }
    return folder;
  }

  /** Replaces the link by a rename. */
  #use(folder: string): void {
    const link = join(dirname(this.#current), "next");
    rmSync(link, { force: true });
    symlinkSync(basename(folder), link);
    renameSync(link, this.#current);
  }

  /** What was rendered before, apart from what the program reads. */
  #removeOthers(current: string | undefined): void {
    const root = dirname(this.#current);
    for (const name of existsSync(root) ? readdirSync(root) : [])
      if (name.startsWith("plan-") && join(root, name) !== current)
        rmSync(join(root, name), { recursive: true, force: true });
  }

  #currentFolder(): string | undefined {
    try {
      return join(dirname(this.#current), readlinkSync(this.#current));
    } catch {
      return undefined;
    }
  }

  #reported(): PlanReport {
    try {
      return JSON.parse(readFileSync(planReport(this.#part), "utf8")) as PlanReport;
    } catch {
      return {};
    }
  }

  /**
   * The TURN server has no part in the daemon's folder, and starts anew with the pod whenever its
   * configuration changes.
   */
  #report(report: PlanReport): void {
    if (this.#part === "turn") return;
    const path = planReport(this.#part);
    writeFileSync(`${path}.new`, JSON.stringify(report));
    renameSync(`${path}.new`, path);
  }
}

/** The digest of the plan in the ConfigMap, whatever is in it. */
function failedHash(): string {
  try {
    return readPlan(planPlaces.given).hash;
  } catch {
    return "";
  }
}

/** The given or the last plan, whichever has this digest. */
function givenWith(hash: string): GivenPlan {
  let problem: unknown = new PlanError("the plan has changed meanwhile");
  for (const path of [planPlaces.given, planPlaces.last]) {
    try {
      const { text, hash: found, parse } = readPlan(path);
      if (found === hash) return { text, hash, plan: parse() };
    } catch (thrown) {
      problem = thrown;
    }
  }
  throw problem;
}

/** The kubelet brings a newer plan into a pod within a minute and a half. */
const soonMs = 100_000;

async function givenSoon(hash: string): Promise<GivenPlan> {
  for (const end = Date.now() + soonMs; ; ) {
    const { text, hash: found, parse } = readPlan(planPlaces.given);
    if (found === hash) return { text, hash, plan: parse() };
    if (Date.now() > end) throw new PlanError("the plan has changed meanwhile");
    await sleep(200);
  }
}

/** For a checker that reads the files and does not look at what is in them. */
function standInCertificates({ domains }: Plan): void {
  for (const { domain } of domains) {
    mkdirSync(dirname(servedTls(domain)), { recursive: true });
    writeFileSync(servedTls(domain), "the configuration is checked without a certificate\n");
  }
}

async function certificatesServed({ domains }: Plan): Promise<void> {
  const isServed = (domain: string) => (statSync(servedTls(domain), { throwIfNoEntry: false })?.size ?? 0) > 0;
  while (!domains.every(({ domain }) => isServed(domain))) await sleep(50);
}

/**
 * Postfix reads a file again and again until it was last changed two seconds ago, lest it be half
 * written ("pausing to let main.cf cool down"). These are whole before anybody reads them.
 */
const cooledSeconds = 10;

function writeFiles(folder: string, files: Files): void {
  const cool = Date.now() / 1000 - cooledSeconds;
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true, mode: 0o755 });
    writeFileSync(join(folder, path), text, { mode: 0o644 });
    utimesSync(join(folder, path), cool, cool);
  }
}

/** The files at the top of a folder: those below are served and not read at the start. */
function configurationIn(folder: string): Files {
  const names = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(names.map(({ name }) => [name, readFileSync(join(folder, name), "utf8")]));
}

function isSame(one: Files, other: Files): boolean {
  const names = new Set([...Object.keys(one), ...Object.keys(other)]);
  return [...names].every((name) => one[name] === other[name]);
}
