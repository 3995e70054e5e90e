/**
 * Starting programs: output is captured, a failure carries the last lines and the path of the full
 * log.
 */
import { spawn, spawnSync } from "node:child_process";
import { createWriteStream, mkdirSync } from "node:fs";
import { dirname } from "node:path";

/** A failure whose message is meant for the person at the terminal; shown without a stack. */
export class LabError extends Error {}

export interface RunOptions {
  cwd?: string;
  /** Added to this process's environment; undefined removes. */
  env?: Record<string, string | undefined>;
  input?: string | Buffer;
  /** Everything the program says is appended here as well. */
  log?: string;
  signal?: AbortSignal;
}

export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a program to its end and returns what it said, whatever the exit code. */
export async function tryRun(argv: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const [program = "", ...args] = argv;
  if (options.log) mkdirSync(dirname(options.log), { recursive: true });
  const log = options.log ? createWriteStream(options.log, { flags: "a" }) : undefined;
  log?.write(`$ ${argv.join(" ")}\n`);
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ["pipe", "pipe", "pipe"],
      ...(options.signal ? { signal: options.signal } : {}),
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => {
      out.push(chunk);
      log?.write(chunk);
    });
    child.stderr.on("data", (chunk: Buffer) => {
      err.push(chunk);
      log?.write(chunk);
    });
    child.stdin.on("error", () => {}); // the program may end before it has read everything
    child.stdin.end(options.input);
    child.on("error", (cause) => {
      log?.end();
      if ("code" in cause && cause.code === "ENOENT") {
        resolve({ code: 127, stdout: "", stderr: `${program}: not found` });
      } else reject(cause);
    });
    child.on("close", (code, signal) => {
      log?.end();
      const text = (chunks: Buffer[]) => Buffer.concat(chunks).toString();
      resolve({ code: code ?? 1, stdout: text(out), stderr: text(err) + (signal ? `ended by ${signal}` : "") });
    });
  });
}

/** Runs a program that has to succeed and returns its standard output without the final newline. */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const ran = await tryRun(argv, options);
  if (ran.code === 0) return ran.stdout.trimEnd();
  const last = (ran.stderr.trim() || ran.stdout.trim()).split("\n").slice(-6).join("\n  ");
  const where = options.log ? `\n  full log: ${options.log}` : "";
  throw new LabError(`${argv.slice(0, 4).join(" ")} failed (exit code ${ran.code})\n  ${last}${where}`);
}

/** The same as `tryRun`, for the few places that can't wait asynchronously. */
export function runSync(argv: readonly string[]): Ran {
  const [program = "", ...args] = argv;
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: "utf8" });
  return { code: status ?? 127, stdout: stdout ?? "", stderr: stderr ?? "" };
}
