import { createHash } from "node:crypto";
import type { ChatmailServer } from "../../../api/chatmail-server.ts";
import { childNames } from "../../../api/names.ts";
import type { ConfigMap } from "../../../kube/kinds.ts";
import { planFile } from "../../../pod/layout.ts";
import { type PlanOptions, planOf, planText } from "../../../pod/plan-of.ts";
import { childMeta } from "./child.ts";

/**
 * What the relay pod is told of the spec: the image makes the configuration of its programs from
 * it.
 */
export function planConfigMap(server: ChatmailServer, options: PlanOptions = {}): ConfigMap {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: childMeta(server, childNames(server.metadata.name).planConfigMap),
    data: { [planFile]: planText(planOf(server.spec, options)) },
  };
}

/** Changes when a Secret has changed that the pod reads only as it starts. */
export function secretsHash(...secrets: (string | undefined)[]): string {
  const hash = createHash("sha256");
  for (const secret of secrets) hash.update(JSON.stringify(secret ?? ""));
  return hash.digest("hex").slice(0, 16);
}
