/** What a command was told, or a sentence and its usage: a typing error deserves no stack trace. */
import { type ParseArgsConfig, parseArgs } from "node:util";
import { messageOf } from "../src/lib/text.ts";

/**
 * As parseArgs has them. What is not understood is named, with exit code 2; after the rest,
 * `--help` prints the usage and ends well.
 */
export function readOptions<Config extends ParseArgsConfig>(
  usage: string,
  config: Config,
): ReturnType<typeof parseArgs<Config>> {
  const words = process.argv.slice(2);
  const args = words.filter((word) => !asksForHelp([word]));
  const withoutHelp: Config = { ...config, args };
  try {
    const parsed = parseArgs(withoutHelp);
    if (args.length === words.length) return parsed;
  } catch (thrown) {
    // the first sentence; Node's second is about positional arguments
    refuse(messageOf(thrown).split(". ")[0] ?? "", usage);
  }
  console.log(usage);
  process.exit(0);
}

const helpWords = ["--help", "-h"];

/** Whether a command was asked for its usage alone. */
export const asksForHelp = (words: readonly string[]) => words.some((word) => helpWords.includes(word));

/** A number of an option. */
export function numberOf(
  option: string,
  text: string,
  rule: { above?: number; whole?: boolean },
  usage: string,
): number {
  const { above = 0, whole = false } = rule;
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (Number.isFinite(value) && value > above && (!whole || Number.isInteger(value))) return value;
  const wanted = whole ? `whole number, ${above + 1} or more` : `number above ${above}`;
  return refuse(`${option} must be a ${wanted}, and is ${JSON.stringify(text)}`, usage);
}

export function refuse(why: string, usage: string): never {
  console.error(`${why}\n${usage}`);
  process.exit(2);
}
