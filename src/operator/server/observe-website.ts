/**
 * The user's own files that a relay publishes: pages, and the newest versions of apps. They are
 * read, so that the status can say what is wrong.
 */
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import { type ConfigMap, resources } from "../../kube/kinds.ts";
import { isTextsFile, type ReadTexts, readTexts } from "../../pod/pages/own-texts.ts";
import { appVersionsKey } from "../../pod/relay-config.ts";
import { readOthers } from "./read-others.ts";
import type { SeenFiles } from "./seen.ts";
import type { World } from "./world.ts";

export async function observeWebsite(
  server: ChatmailServer,
  world: World,
  signal: AbortSignal,
): Promise<SeenFiles | undefined> {
  const { website, services } = server.spec;
  const pages = website.configMapName;
  const versions = services.appVersions.configMapName;
  if (pages === undefined && versions === undefined) return undefined;
  const { namespace } = server.metadata;
  const { otherConfigMaps: watched, client } = world;
  const read = (name: string) => readOthers(resources.configMap, { namespace, name }, { watched, client, signal });
  return {
    ...(pages !== undefined && {
      pages: pagesIn(pages, await read(pages)),
    }),
    ...(versions !== undefined && {
      appVersions: { configMapName: versions, problem: versionsProblem(versions, await read(versions)) },
    }),
  };
}

/** Also in one language alone: `index.de.html`. */
const isFrontPage = (file: string) => /^index([.][a-z]{2})?[.]html$/.test(file);

type Found = Pick<ConfigMap, "data" | "binaryData"> | undefined;

/** Pages, texts for the built-in pages, or both. Pure. */
export function pagesIn(name: string, found: Found): NonNullable<SeenFiles["pages"]> {
  const files = [...Object.keys(found?.data ?? {}), ...Object.keys(found?.binaryData ?? {})];
  const read = readTexts(found?.data ?? {});
  const unreadable = Object.keys(found?.binaryData ?? {}).filter(isTextsFile);
  const textProblems = [...unreadable.map((file) => `${file}: is not text in UTF-8`), ...read.problems];
  return {
    configMapName: name,
    problem: pagesProblem(name, found),
    hasFrontPage: files.some(isFrontPage),
    texts: read.texts,
    textsProblem: textsProblem(name, textProblems),
    notes: notesOn(read),
  };
}

/** Pure. */
export function pagesProblem(name: string, found: Found) {
  const instead = "The built-in pages are served";
  if (!found) return `there is no ConfigMap ${name}, which website.configMapName names. ${instead}`;
  const files = [...Object.keys(found.data ?? {}), ...Object.keys(found.binaryData ?? {})];
  return files.some((file) => isFrontPage(file) || isTextsFile(file))
    ? undefined
    : `ConfigMap ${name}, which website.configMapName names, has no index.html and no texts.LANGUAGE.json. ${instead}`;
}

const mostProblems = 5;

function textsProblem(name: string, problems: readonly string[]): string | undefined {
  if (problems.length === 0) return undefined;
  const more = problems.length > mostProblems ? `; and ${problems.length - mostProblems} more` : "";
  return `in ConfigMap ${name}, which website.configMapName names, ${problems.slice(0, mostProblems).join("; ")}${more}. What is wrong is left out, the rest is used`;
}

function notesOn({ texts, missing }: ReadTexts): string | undefined {
  const languages = Object.keys(texts);
  if (languages.length === 0) return undefined;
  const said = languages.map((each) => (missing[each] ? `${each} (${missing[each]} missing, in English)` : each));
  return `with texts in ${said.join(", ")}`;
}

/** Pure. */
export function versionsProblem(name: string, found: Pick<ConfigMap, "data"> | undefined): string | undefined {
  const instead = "Apps are told no versions";
  const named = `ConfigMap ${name}, which services.appVersions.configMapName names`;
  if (!found) return `there is no ${named}. ${instead}`;
  const text = found.data?.[appVersionsKey];
  if (text === undefined) return `${named}, has no key ${appVersionsKey}. ${instead}`;
  try {
    JSON.parse(text);
    return undefined;
  } catch {
    return `${appVersionsKey} in ${named}, is not valid JSON. ${instead}`;
  }
}
