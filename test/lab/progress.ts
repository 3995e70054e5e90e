/**
 * What the person at the terminal sees: one line per step, with the time since the start and an
 * honest estimate for long ones.
 */
import { availableParallelism } from "node:os";

export interface Progress {
  /** Announces a step; `seconds` is how long it typically takes here, said only when it is long. */
  step: (text: string, seconds?: number) => void;
  /** Says how it ended. */
  done(text: string): void;
}

/** "about 8 minutes on 2 cores"; nothing for what is over before one has read it. */
export function estimate(seconds: number, cores = availableParallelism()): string | undefined {
  if (seconds < 20) return undefined;
  if (seconds < 100) return `about ${Math.round(seconds / 10) * 10} seconds`;
  const minutes = Math.round(seconds / 60);
  return `about ${minutes} minute${minutes === 1 ? "" : "s"} on ${cores} core${cores === 1 ? "" : "s"}`;
}

/**
 * Seconds that a job of so many core-seconds takes on this machine, if it parallelises as compilers
 * do.
 */
export const onThisMachine = (coreSeconds: number, cores = availableParallelism()) => coreSeconds / cores;

/** Progress on standard error, so that standard output stays free for results. */
export function terminalProgress(): Progress {
  const start = performance.now();
  const say = (text: string) => {
    const seconds = Math.floor((performance.now() - start) / 1000);
    process.stderr.write(`${String(seconds).padStart(5)}s  ${text}\n`);
  };
  return {
    step(text, seconds = 0) {
      const guess = estimate(seconds);
      say(guess ? `${text}, ${guess}` : text);
    },
    done: say,
  };
}

/** For callers that speak for themselves. */
export const silent: Progress = { step() {}, done() {} };
