/** What a command was told, or a sentence and its usage: a typing error deserves no stack trace. */
import { type ParseArgsConfig, parseArgs } from "node:util";
import { messageOf } from "../src/lib/text.ts";

/** As parseArgs has them. `--help` prints the usage and ends well; what is not understood is named, with exit code 2. */
export function readOptions<Config extends ParseArgsConfig>(
  usage: string,
  config: Config,
): ReturnType<typeof parseArgs<Config>> {
  if (process.argv.slice(2).some((word) => word === "--help" || word === "-h")) {
    console.log(usage);
    process.exit(0);
  }
  try {
    return parseArgs(config);
  } catch (thrown) {
    // the first sentence; Node's second is about positional arguments
    return refuse(messageOf(thrown).split(". ")[0] ?? "", usage);
  }
}

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
  return refuse(
    `${option} must be a ${whole ? "whole " : ""}number above ${above}, and is ${JSON.stringify(text)}`,
    usage,
  );
}

export function refuse(why: string, usage: string): never {
  console.error(`${why}\n${usage}`);
  process.exit(2);
}
