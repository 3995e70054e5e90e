/** `npm run generate`: writes the files that follow from src/. With --check: writes nothing, names each file that is not fresh. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { stringify } from "yaml";
import { chatmailServerCrd } from "../src/api/crd.ts";
import { chatmailServerReference } from "../src/api/reference.ts";

const root = resolve(import.meta.dirname, "..");
const hint = "# Written by npm run generate; edit src/ instead.\n";
const yaml = (...objects: unknown[]) =>
  hint + objects.map((object) => stringify(object, { lineWidth: 0, aliasDuplicateObjects: false })).join("---\n");

const files: Record<string, string> = {
  "crds/chatmailservers.yaml": yaml(chatmailServerCrd()),
  "docs/reference/chatmailserver.md": chatmailServerReference(),
};

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

const stale = Object.keys(files).filter((name) => textOf(resolve(root, name)) !== files[name]);
if (process.argv.includes("--check")) {
  for (const name of stale) console.error(`${name} is not fresh: run npm run generate`);
  process.exitCode = stale.length === 0 ? 0 : 1;
} else {
  for (const name of stale) {
    mkdirSync(dirname(resolve(root, name)), { recursive: true });
    writeFileSync(resolve(root, name), files[name] ?? "");
    console.log(`wrote ${name}`);
  }
}
