/** Inputs that once went wrong: test/fixtures/fuzz/TARGET/NAME. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

const folder = resolve(import.meta.dirname, "../fixtures/fuzz");

export function crashersOf(target: string): { name: string; input: Buffer }[] {
  const files = join(folder, target);
  if (!existsSync(files)) return [];
  return readdirSync(files).map((name) => ({ name, input: readFileSync(join(files, name)) }));
}
