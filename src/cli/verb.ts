/** How a verb is added to the program. */
import type { Command } from "commander";
import type { Exit } from "./exit.ts";
import type { Session } from "./session.ts";

/**
 * Makes an action of commander's: `act` gets the session, the words after the verb and its options,
 * and says how it went; undefined means well.
 */
export type Action = <Words extends unknown[], Options>(
  act: (session: Session, words: Words, options: Options) => Promise<Exit | undefined>,
) => (...given: unknown[]) => Promise<void>;

export interface Verb {
  /** What the user must be allowed to do, for the reference page. */
  rights: readonly string[];
  /** Adds the verb with its words, options and help. */
  add(program: Command, action: Action): void;
}

/** Of verbs that speak of one server. */
export const serverWord = ["<name>", "name of the ChatmailServer"] as const;

/** Of an option that may be given several times: all of its values. */
export const repeated = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value];
