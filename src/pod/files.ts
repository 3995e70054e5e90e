/** All files of the programs of a relay pod, as they follow from a plan. Pure; configure.ts puts them where they belong. */
import { dovecotFiles } from "./dovecot.ts";
import { folders } from "./layout.ts";
import { pageFiles } from "./pages/site.ts";
import { mainDomain, type Plan } from "./plan.ts";
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

/** Where the built-in pages are, below the folder of `web`. */
const pagesFolder = "pages";

const renderers: Record<Part, (plan: Plan) => Files> = {
  postfix: postfixFiles,
  dovecot: dovecotFiles,
  web: (plan) => {
    const pages = Object.entries(pageFiles(mainDomain(plan)));
    return { ...webFiles(plan), ...Object.fromEntries(pages.map(([name, text]) => [`${pagesFolder}/${name}`, text])) };
  },
  turn: turnFiles,
};

export function partFiles(part: Part, plan: Plan): Files {
  return renderers[part](plan);
}

export function isPart(text: string): text is Part {
  return Object.hasOwn(renderers, text);
}
