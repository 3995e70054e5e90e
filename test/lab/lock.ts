/**
 * One `up` or `down` at a time: a second one waits; the lock of a process that is gone does not
 * count.
 */
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { stateDir } from "./place.ts";
import { argvOf } from "./processes.ts";

/**
 * Runs the work while nobody else holds the lock; `waiting` is called once when somebody does.
 * `file` is the lock, the lab's own without it.
 */
export async function withLock<T>(
  work: () => Promise<T>,
  waiting: (pid: number) => void = () => {},
  file = `${stateDir}.lock`,
): Promise<T> {
  mkdirSync(dirname(file), { recursive: true });
  for (let said = false; !take(file); ) {
    const holder = holderOf(file);
    if (holder === undefined) rmSync(file, { force: true });
    else {
      if (!said) waiting(holder);
      said = true;
      await wait(300);
    }
  }
  try {
    return await work();
  } finally {
    rmSync(file, { force: true });
  }
}

function take(file: string): boolean {
  try {
    writeFileSync(file, String(process.pid), { flag: "wx" });
    return true;
  } catch {
    return false;
  }
}

/**
 * The living process that holds the lock. A pid that has been given to something else is no holder.
 */
function holderOf(file: string): number | undefined {
  try {
    const text = readFileSync(file, "utf8");
    if (text === "") return Date.now() - statSync(file).mtimeMs < 1000 ? 0 : undefined; // just being written
    const pid = Number(text);
    return argvOf(pid).some((word) => /node|vitest/.test(word)) ? pid : undefined;
  } catch {
    return undefined;
  }
}
