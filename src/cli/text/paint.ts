/** Colours, for terminals alone. */
import { stripVTControlCharacters, styleText } from "node:util";
import type { Output, Surroundings } from "../surroundings.ts";

export type Tone = "good" | "bad" | "doubtful" | "quiet" | "strong";

const styles = {
  good: "green",
  bad: "red",
  doubtful: "yellow",
  quiet: "dim",
  strong: "bold",
} as const satisfies Record<Tone, string>;

export type Paint = (tone: Tone, text: string) => string;

/** NO_COLOR (https://no-color.org): any text but the empty one. */
export function paintFor(output: Pick<Output, "isTerminal">, environment: Surroundings["environment"]): Paint {
  const isPlain = !output.isTerminal || (environment.NO_COLOR ?? "") !== "" || environment.TERM === "dumb";
  return (tone, text) => (isPlain || text === "" ? text : styleText(styles[tone], text, { validateStream: false }));
}

/** Without colours. */
export const widthOf = (text: string): number => [...stripVTControlCharacters(text)].length;

/**
 * Text of others may hold what a terminal takes for commands: those characters are shown as marks.
 */
export const harmless = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  text.replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "�");
