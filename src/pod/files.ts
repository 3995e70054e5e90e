/** All files of a relay pod's programs, by folder: one ConfigMap holds them, each folder is mounted on its own. */
import { dovecotFiles } from "./dovecot.ts";
import { folders } from "./layout.ts";
import { pageFiles } from "./pages/site.ts";
import { mainDomain, type Plan } from "./plan.ts";
import { postfixFiles } from "./postfix.ts";
import { relayConfig } from "./relay-config.ts";
import { turnFiles } from "./turn.ts";
import { webFiles } from "./web.ts";

/** Where each folder is mounted. `pages` gives way to the user's own ConfigMap where the plan says so. */
export const fileFolders = {
  postfix: folders.postfixConfig,
  dovecot: folders.dovecotConfig,
  relay: folders.relayConfig,
  web: folders.webConfig,
  pages: folders.pages,
  turn: folders.turnConfig,
} as const;
export type FileFolder = keyof typeof fileFolders;

/** File name → text. */
export type Files = Readonly<Record<string, string>>;

export function relayFiles(plan: Plan): Record<FileFolder, Files> {
  return {
    postfix: postfixFiles(plan),
    dovecot: dovecotFiles(plan),
    relay: { "relay.json": `${JSON.stringify(relayConfig(plan), null, 2)}\n` },
    web: webFiles(plan),
    pages: pageFiles(mainDomain(plan)),
    turn: turnFiles(plan),
  };
}

/** The key of a file in the one ConfigMap: keys have no folders. */
function configMapKey(folder: FileFolder, file: string): string {
  return `${folder}.${file}`;
}

/** Data of the ConfigMap. */
export function configMapData(files: Record<FileFolder, Files>): Record<string, string> {
  const entries = Object.entries(files) as [FileFolder, Files][];
  return Object.fromEntries(
    entries.flatMap(([folder, texts]) =>
      Object.entries(texts).map(([file, text]) => [configMapKey(folder, file), text]),
    ),
  );
}

/** Which keys of the ConfigMap a mounted folder has, as the `items` of a Kubernetes volume. */
export function configMapItems(files: Record<FileFolder, Files>, folder: FileFolder): { key: string; path: string }[] {
  return Object.keys(files[folder]).map((file) => ({ key: configMapKey(folder, file), path: file }));
}
