/**
 * All files of the programs of a relay pod, as they follow from a plan. Pure; configure.ts puts
 * them where they belong.
 */
import { dovecotFiles } from "./dovecot.ts";
import { folders } from "./layout.ts";
import type { Plan } from "./plan.ts";
import { postfixFiles } from "./postfix.ts";
import { turnFiles } from "./turn.ts";
import { webFiles } from "./web.ts";

/** Where each program finds its files. */
export const partFolders = {
  postfix: folders.postfixConfig,
  dovecot: folders.dovecotConfig,
  web: folders.webConfig,
  turn: folders.turnConfig,
} as const;
export type Part = keyof typeof partFolders;

/** Path below the folder → text. */
export type Files = Readonly<Record<string, string>>;

const renderers: Record<Part, (plan: Plan) => Files> = {
  postfix: postfixFiles,
  dovecot: dovecotFiles,
  web: webFiles,
  turn: turnFiles,
};

export function partFiles(part: Part, plan: Plan): Files {
  return renderers[part](plan);
}

export function isPart(text: string): text is Part {
  return Object.hasOwn(renderers, text);
}
