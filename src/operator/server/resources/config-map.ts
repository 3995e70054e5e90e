import { createHash } from "node:crypto";
import type { ChatmailServer } from "../../../api/chatmail-server.ts";
import { childNames } from "../../../api/names.ts";
import type { ConfigMap } from "../../../kube/kinds.ts";
import { configMapData, type FileFolder, type Files } from "../../../pod/files.ts";
import { childMeta } from "./child.ts";

/** Every configuration file of the pod, in one ConfigMap. */
export function configMap(server: ChatmailServer, files: Record<FileFolder, Files>): ConfigMap {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: childMeta(server, childNames(server.metadata.name).configMap),
    data: configMapData(files),
  };
}

/** Changes when a program has to start again. nginx reads pages for each request, so they don't count. Secrets that are read once do. */
export function configHash(files: Record<FileFolder, Files>, ...secrets: (string | undefined)[]): string {
  const { pages: _, ...read } = files;
  const sorted = Object.entries(configMapData({ ...read, pages: {} })).sort(([a], [b]) => (a < b ? -1 : 1));
  const hash = createHash("sha256").update(JSON.stringify(sorted));
  for (const secret of secrets) hash.update(secret ?? "");
  return hash.digest("hex").slice(0, 16);
}
