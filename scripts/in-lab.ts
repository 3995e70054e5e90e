/** A script of ours where the lab's addresses and names are, which exist only inside of it. */
import { spawn } from "node:child_process";
import { labExecArgs } from "../test/lab/lab.ts";

/** Its exit code. Streams are this process's own; a signal from the terminal reaches both. */
export async function inLab(script: string, ...words: readonly string[]): Promise<number> {
  const [program = "", ...args] = labExecArgs(["node", script, ...words]);
  const child = spawn(program, args, { stdio: "inherit" });
  return new Promise<number>((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code) => resolve(code ?? 1));
  });
}
