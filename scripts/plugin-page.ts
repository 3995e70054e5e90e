/** docs/kubectl-chatmail.md: how the plugin is installed, and each verb as its help has it. */
import type { Argument, Command, Option } from "commander";
import { exitCodes } from "../src/cli/exit.ts";
import { programOf, verbs } from "../src/cli/program.ts";

const cell = (text: string) => text.replaceAll("|", "\\|").replaceAll("\n", " ");
const row = (...cells: string[]) => `| ${cells.map(cell).join(" | ")} |`;
const table = (head: string[], rows: string[]) => [row(...head), row(...head.map(() => "---")), ...rows].join("\n");
const code = (text: string) => `\`${text}\``;

const optionRow = ({ flags, description, argChoices }: Option) =>
  row(code(flags), description + (argChoices ? ` (${argChoices.map(code).join(", ")})` : ""));

const wordOf = (argument: Argument) => {
  const name = argument.name() + (argument.variadic ? "..." : "");
  return argument.required ? `<${name}>` : `[${name}]`;
};

function section(verb: Command, rights: readonly string[]): string {
  const words = verb.registeredArguments.map(wordOf).join(" ");
  const options =
    verb.options.length > 0 ? `\n${table(["Option", "What it does"], verb.options.map(optionRow))}\n` : "";
  const needs = rights.length > 0 ? `\nRights: ${rights.join("; ")}.\n` : "";
  return `### ${verb.name()}

    kubectl chatmail ${verb.name()}${words && ` ${words}`}${verb.options.length > 0 ? " [options]" : ""}

${verb.description()}
${options}${needs}`;
}

export function pluginPage(): string {
  const program = programOf();
  const rights = new Map(program.commands.map((verb, at) => [verb.name(), verbs[at]?.rights ?? []]));
  const index = program.commands.map((verb) => row(`[${verb.name()}](#${verb.name()})`, verb.summary()));
  return `<!-- Written by npm run generate from src/cli and scripts/plugin-page.ts; edit there. -->

# kubectl chatmail

A plugin of kubectl for those who look after relays. It goes through your kubeconfig and has your rights, no others: what it may not
do, it says. It runs on Linux and macOS with Node.js 22.19 or newer.

## Install

In a checkout:

<!-- not run: writes into the global folder of npm. test/services/kubectl-chatmail.test.ts runs the bundle through kubectl -->

\`\`\`sh
npm ci && npm run plugin
npm install --global .
\`\`\`

It is one file, \`dist/plugin/kubectl-chatmail.mjs\`: a link to it with the name \`kubectl-chatmail\` in a folder of \`PATH\` does the same.
\`npm run plugin -- --url URL\` packs it and writes a manifest for [krew](https://krew.sigs.k8s.io) beside it.

To have verbs, options and names completed by kubectl (1.26 or newer), in every shell in which kubectl completes itself:

<!-- run by: test/services/kubectl-chatmail.test.ts -->

\`\`\`sh
kubectl chatmail completion kubectl > kubectl_complete-chatmail
chmod +x kubectl_complete-chatmail      # and move it into a folder of PATH
\`\`\`

## First steps

<!-- run by: test/services/kubectl-chatmail.test.ts -->

\`\`\`sh
kubectl chatmail status -A || true           # 3: one of them is not ready
kubectl chatmail status nine -n chatmail || true
kubectl chatmail dns nine -n chatmail --zone
kubectl chatmail invite nine -n chatmail
kubectl chatmail spec nine -n chatmail --set
\`\`\`

## Verbs

${table(["Verb", "What it does"], index)}

## Options of all verbs

${table(["Option", "What it does"], program.options.map(optionRow))}

Colours are for terminals alone; \`NO_COLOR\` turns them off. Answers go to standard output; errors, hints and progress to standard error.
In JSON and YAML, fields are added and never change their meaning.

## Exit codes

${table(
  ["Code", "Meaning"],
  Object.values(exitCodes).map(({ code: number, meaning }) => row(String(number), meaning)),
)}

## Reference

${program.commands.map((verb) => section(verb, rights.get(verb.name()) ?? [])).join("\n")}`;
}
