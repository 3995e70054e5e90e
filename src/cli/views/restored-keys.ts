/** From the files of keys in a backup to the Secrets that the operator finds. Pure. */

import { childNames } from "../../api/names.ts";
import type { Manifest } from "../../backup/archive.ts";
import type { Secret } from "../../kube/kinds.ts";
import { dataOf } from "../../operator/identity/secret.ts";
import { identities } from "../../operator/identity/table.ts";
import { keptMeta } from "../../operator/server/resources/child.ts";
import { domainFile } from "../../pod/layout.ts";

export interface RestoredKey {
  kind: string;
  /** Named as domainFile does it. */
  folder: string;
  file: string;
  text: string;
}

/** Of `identity/KIND/FOLDER/FILE`; undefined where it is another file. */
export function keysIn(entry: string): Omit<RestoredKey, "text"> | undefined {
  const [top, kind, folder, file, ...more] = entry.split("/");
  if (top !== "identity" || !kind || !folder || !file || more.length > 0) return undefined;
  return { kind, folder, file };
}

/** Of the relay's domain; other kinds, such as the key of an ACME account, are left out. */
export function secretsOf(
  { domains }: Manifest,
  keys: readonly RestoredKey[],
  { name, namespace }: { name: string; namespace: string },
): Secret[] {
  const [domain] = domains;
  return Object.entries(identities).flatMap(([kind, { secret, type }]) => {
    const files = keys.filter((key) => key.kind === kind && domain !== undefined && key.folder === domainFile(domain));
    if (files.length === 0 || domain === undefined) return [];
    const metadata = keptMeta({ metadata: { name, namespace }, spec: { domain } }, childNames(name)[secret]);
    const data = dataOf(Object.fromEntries(files.map(({ file, text }) => [file, text])));
    return [{ apiVersion: "v1", kind: "Secret", metadata, type, data }];
  });
}
