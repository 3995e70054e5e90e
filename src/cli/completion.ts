/** What the shell may offer next. kubectl calls plugins for this as cobra programs are called. */
import type { Command, Option } from "commander";

/** The words are complete but for the last one, which may be empty. Pure. */
export function completionOf(program: Command, words: readonly string[]): Completion {
  const partial = words.at(-1) ?? "";
  const { verb, expects, given } = readWords(program, words.slice(0, -1));
  if (expects) return wordsFor(expects, partial);
  const options = [...(verb?.options ?? []), ...program.options];
  if (partial.startsWith("-"))
    return offer(
      options.map(({ long, description }) => ({ word: long ?? "", about: description })),
      partial,
    );
  if (!verb) return offer(visible(program), partial);
  const [argument] = verb.registeredArguments;
  if (!argument) return offer([], partial);
  if (argument.argChoices) return offer(given === 0 ? argument.argChoices.map((word) => ({ word })) : [], partial);
  if (given > 0 && !argument.variadic) return offer([], partial);
  return { objects: verb.name() === "rollout" ? "fleets" : "servers", partial };
}

export type Completion =
  | { words: { word: string; about?: string }[]; files: boolean }
  | { objects: "servers" | "fleets" | "namespaces"; partial: string };

function readWords(program: Command, words: readonly string[]) {
  let verb: Command | undefined;
  let expects: Option | undefined;
  let given = 0;
  for (const word of words) {
    if (expects) expects = undefined;
    else if (word.startsWith("-")) {
      const options = [...program.options, ...(verb?.options ?? [])];
      const option = options.find(({ short, long }) => short === word || long === word);
      if (option?.required) expects = option;
    } else if (verb) given++;
    else verb = program.commands.find((each) => each.name() === word);
  }
  return { verb, expects, given };
}

function wordsFor({ long, argChoices }: Option, partial: string): Completion {
  if (argChoices)
    return offer(
      argChoices.map((word) => ({ word })),
      partial,
    );
  if (long === "--namespace") return { objects: "namespaces", partial };
  return { words: [], files: long === "--png" || long === "--kubeconfig" || long === "--file" };
}

const visible = (program: Command) =>
  program.commands.map((each) => ({ word: each.name(), about: each.summary() || each.description() }));

const offer = (words: readonly { word: string; about?: string }[], partial: string): Completion => ({
  words: words.filter(({ word }) => word !== "" && word.startsWith(partial)),
  files: false,
});

/** As cobra writes it: a word and what it is, a line each; then 4: no file names, or 0. */
export function completionText(completion: Extract<Completion, { files: boolean }>): string {
  const lines = completion.words.map(({ word, about }) => (about ? `${word}\t${about.split("\n")[0]}` : word));
  return [...lines, completion.files ? ":0" : ":4", ""].join("\n");
}
