/** The programs in the other containers of the pod, and how they are told of something new. */
import { closeSync, constants, openSync, writeSync } from "node:fs";
import { basename, join } from "node:path";
import { codeOf } from "../lib/text.ts";
import { reloadPipes } from "../pod/layout.ts";

export type Program = keyof typeof reloadPipes;
export const programs = Object.keys(reloadPipes) as Program[];

/**
 * Into a named pipe, without waiting for a reader. Where nobody is at the other end, that program
 * is about to start, and will read what is there then.
 */
export function tellProgram(runFolder: string, program: Program, line = ""): void {
  try {
    const file = openSync(join(runFolder, basename(reloadPipes[program])), constants.O_WRONLY | constants.O_NONBLOCK);
    try {
      writeSync(file, `${line}\n`);
    } finally {
      closeSync(file);
    }
  } catch (thrown) {
    if (!["ENOENT", "ENXIO"].includes(codeOf(thrown) ?? "")) throw thrown;
  }
}
