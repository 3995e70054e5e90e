import type { ChatmailServer } from "../../../api/chatmail-server.ts";
import { childNames } from "../../../api/names.ts";
import type { KeyPair } from "../../../certificates/self-signed.ts";
import type { Secret } from "../../../kube/kinds.ts";
import { keptMeta } from "./child.ts";

/** The self-signed certificate and its key. Kept when the server is deleted with Retain: a client that pinned the key knows it again. */
export function tlsSecret(server: ChatmailServer, pair: KeyPair): Secret {
  const base64 = (text: string) => Buffer.from(text).toString("base64");
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: keptMeta(server, childNames(server.metadata.name).tlsSecret),
    type: "kubernetes.io/tls",
    data: { "tls.crt": base64(pair.certificatePem), "tls.key": base64(pair.keyPem) },
  };
}
