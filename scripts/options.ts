/** What a command was told, or a sentence and its usage: a typing error deserves no stack trace. */
import { type ParseArgsConfig, parseArgs } from "node:util";
import { messageOf } from "../src/lib/text.ts";

type Parsed<Config extends ParseArgsConfig> = ReturnType<typeof parseArgs<Config>>;

/**
 * As parseArgs has them, or what `read` makes of that, which refuses what is not right. What is not
 * understood is named, with exit code 2; after all that, `--help` prints the usage and ends well.
 */
export function readOptions<Config extends ParseArgsConfig>(usage: string, config: Config): Parsed<Config>;
export function readOptions<Config extends ParseArgsConfig, Read>(
  usage: string,
  config: Config,
  read: (parsed: Parsed<Config>) => Read,
): Read;
export function readOptions<Config extends ParseArgsConfig, Read>(
  usage: string,
  config: Config,
  read?: (parsed: Parsed<Config>) => Read,
): Parsed<Config> | Read {
  const words = process.argv.slice(2);
  const args = words.filter((word) => !asksForHelp([word]));
  const withoutHelp: Config = { ...config, args };
  const parsed = parse(withoutHelp, usage);
  const found = read ? read(parsed) : parsed;
  if (args.length === words.length) return found;
  console.log(usage);
  process.exit(0);
}

function parse<Config extends ParseArgsConfig>(config: Config, usage: string): Parsed<Config> {
  try {
    return parseArgs(config);
  } catch (thrown) {
    // the first sentence; Node's second is about positional arguments
    return refuse(messageOf(thrown).split(". ")[0] ?? "", usage);
  }
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
