/** A program that runs beside a test, and ends with it. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";

export interface Daemon {
  /** All that it has written. */
  log: () => string;
  hasEnded: () => boolean;
  /** Safe to repeat. */
  kill: () => Promise<void>;
}

/** Its output goes to `folder`/log; that is its working directory, too. */
export function startDaemon(argv: readonly string[], folder: string, env: NodeJS.ProcessEnv = {}): Daemon {
  const logFile = join(folder, "log");
  const log = openSync(logFile, "a");
  // it ends with us, however we end
  const child = spawn("setpriv", ["--pdeathsig", "KILL", "--", ...argv], {
    stdio: ["ignore", log, log],
    cwd: folder,
    env: { ...process.env, ...env },
  });
  closeSync(log);
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  return {
    log: () => readFileSync(logFile, "utf8"),
    hasEnded,
    kill: async () => {
      if (hasEnded()) return;
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    },
  };
}
