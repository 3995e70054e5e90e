/** What all children of a server have in common. */
import type { ChatmailServer } from "../../../api/chatmail-server.ts";
import { annotations, apiVersion, chatmailServer, labels, labelValues } from "../../../api/names.ts";
import type { ObjectMeta } from "../../../kube/object.ts";

export type Component = "relay" | "expiry";

/** What selects the pods of a component; part of a StatefulSet forever. */
export function selectorLabels(server: ChatmailServer, component: Component): Record<string, string> {
  return {
    [labels.name]: labelValues.name,
    [labels.instance]: server.metadata.name,
    [labels.component]: component,
  };
}

export function childLabels(server: ChatmailServer, component: Component): Record<string, string> {
  return { ...selectorLabels(server, component), [labels.managedBy]: labelValues.managedBy };
}

/** `owned`: is deleted with the server. Other objects are found by their name when a server of that name is created again. */
export function childMeta(
  server: ChatmailServer,
  name: string,
  options: { component?: Component; owned?: boolean } = {},
): ObjectMeta {
  const { component = "relay", owned = true } = options;
  const meta = { name, namespace: server.metadata.namespace, labels: childLabels(server, component) };
  if (!owned) return meta;
  const owner = {
    apiVersion,
    kind: chatmailServer.kind,
    name: server.metadata.name,
    uid: server.metadata.uid,
    controller: true,
    blockOwnerDeletion: true,
  };
  return { ...meta, ownerReferences: [owner] };
}

/** Of what outlives the server with Retain: the domain stands on it, so that no other domain takes it over. */
export function keptMeta(server: ChatmailServer, name: string): ObjectMeta {
  const annotated = { [annotations.domain]: server.spec.domain };
  return { ...childMeta(server, name, { owned: !isRetained(server) }), annotations: annotated };
}

/** Whether mailboxes and keys outlive the server. */
function isRetained(server: ChatmailServer): boolean {
  return server.spec.storage.reclaimPolicy === "Retain";
}
