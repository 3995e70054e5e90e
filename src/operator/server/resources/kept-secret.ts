import type { ChatmailServer } from "../../../api/chatmail-server.ts";
import type { Secret } from "../../../kube/kinds.ts";
import { keptMeta } from "./child.ts";

/**
 * A Secret that is made once and kept when the server is deleted with Retain. Only the keys that we made are ours to set; others that a person
 * adds are theirs.
 */
export function keptSecret(server: ChatmailServer, name: string, texts: Readonly<Record<string, string>>): Secret {
  const data = Object.entries(texts).map(([key, text]) => [key, Buffer.from(text).toString("base64")]);
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: keptMeta(server, name),
    type: "Opaque",
    data: Object.fromEntries(data),
  };
}
