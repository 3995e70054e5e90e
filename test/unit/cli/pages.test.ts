/** What pages say of the plugin, and what it has: the same verbs and options. */
import { globSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { exitCodes } from "../../../src/cli/exit.ts";
import { programOf } from "../../../src/cli/program.ts";

const program = programOf();
const page = readFileSync("docs/kubectl-chatmail.md", "utf8");
const sections = new Map(page.split(/^### /m).map((text) => [text.split("\n")[0], text]));

test.each(program.commands.map((verb) => ({ verb, name: verb.name() })))(
  "the page has $name and its options",
  ({ verb, name }) => {
    const section = sections.get(name) ?? "";
    expect(section).toContain(`kubectl chatmail ${name}`);
    for (const { flags } of verb.options) expect(section).toContain(`\`${flags}\``);
  },
);

test("the page has the options of all verbs, and each exit code", () => {
  for (const { flags } of program.options) expect(page).toContain(`\`${flags}\``);
  for (const { code, meaning } of Object.values(exitCodes)) expect(page).toContain(`| ${code} | ${meaning} |`);
});

/** Calls in commands and in sentences; what follows a pipe or a redirection is of others. */
const calls = globSync(["docs/**/*.md", "README.md", "charts/*/templates/NOTES.txt"]).flatMap((file) =>
  [...readFileSync(file, "utf8").matchAll(/kubectl chatmail ([a-z][^`\n|>#]*)/g)].map(([, words = ""]) => ({
    file,
    words: words.trim(),
  })),
);

test.each(calls)("$file: kubectl chatmail $words", ({ words }) => {
  const [name = "", ...rest] = words.split(/\s+/);
  const verb = program.commands.find((each) => each.name() === name);
  expect(verb, name).toBeDefined();
  const known = [...program.options, ...(verb?.options ?? [])].flatMap(({ short, long }) => [short, long]);
  for (const word of rest.filter((each) => /^--?[a-z]/i.test(each))) expect(known).toContain(word);
});
