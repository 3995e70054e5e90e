/** What all children of a server have in common. */
import type { ChatmailServer } from "../../../api/chatmail-server.ts";
import { annotations, apiVersion, chatmailServer, keepAnnotations, labels, shownLabels } from "../../../api/names.ts";
import type { ObjectMeta } from "../../../kube/object.ts";

export type Component = "relay" | "expiry" | "check" | "backup" | "drill" | "move";

/** What selects the pods of a component; part of a StatefulSet forever. */
export function selectorLabels(server: ChatmailServer, component: Component): Record<string, string> {
  return { [labels.server]: server.metadata.name, [labels.component]: component };
}

export function childLabels(server: ChatmailServer, component: Component): Record<string, string> {
  return { ...selectorLabels(server, component), ...shownLabels(server.metadata.name, component) };
}

/** Of what is deleted with the server. */
export function childMeta(server: ChatmailServer, name: string, component: Component = "relay"): ObjectMeta {
  const { namespace } = server.metadata;
  return { name, namespace, labels: childLabels(server, component), ownerReferences: [ownerOf(server)] };
}

/**
 * Of what may outlive the server: the domain stands on it, so that no other domain takes it over.
 * It is found by its name when a server of that name is created again. Nobody owns it: what becomes
 * of it is decided when the server is deleted (retire.ts).
 */
export function keptMeta(
  server: {
    metadata: Pick<ChatmailServer["metadata"], "name" | "namespace">;
    spec: Pick<ChatmailServer["spec"], "domain">;
  },
  name: string,
): ObjectMeta {
  const { namespace } = server.metadata;
  return {
    name,
    namespace,
    labels: { [labels.server]: server.metadata.name },
    annotations: { ...keepAnnotations, [annotations.domain]: server.spec.domain },
  };
}

/** What has it is deleted when the server is gone. */
export const ownerOf = ({ metadata: { name, uid } }: Pick<ChatmailServer, "metadata">) => ({
  apiVersion,
  kind: chatmailServer.kind,
  name,
  uid,
  controller: true,
  blockOwnerDeletion: true,
});
