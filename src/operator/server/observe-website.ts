/**
 * The user's own files that a relay publishes: pages, and the newest versions of apps. They are
 * read, so that the status can say what is wrong.
 */
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import { type ConfigMap, resources } from "../../kube/kinds.ts";
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
      pages: { configMapName: pages, problem: pagesProblem(pages, await read(pages)) },
    }),
    ...(versions !== undefined && {
      appVersions: { configMapName: versions, problem: versionsProblem(versions, await read(versions)) },
    }),
  };
}

/** Also in one language alone: `index.de.html`. */
const isFrontPage = (file: string) => /^index([.][a-z]{2})?[.]html$/.test(file);

/** Pure. */
export function pagesProblem(name: string, found: Pick<ConfigMap, "data" | "binaryData"> | undefined) {
  const instead = "The built-in pages are served";
  if (!found) return `there is no ConfigMap ${name}, which website.configMapName names. ${instead}`;
  const files = [...Object.keys(found.data ?? {}), ...Object.keys(found.binaryData ?? {})];
  return files.some(isFrontPage)
    ? undefined
    : `ConfigMap ${name}, which website.configMapName names, has no index.html. ${instead}`;
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
