/**
 * A copy of the last certificate that could be served: a pod that starts when the Secret is gone or
 * broken has that one.
 */
import type { ChatmailServer } from "../../../api/chatmail-server.ts";
import { childNames } from "../../../api/names.ts";
import type { KeyPair } from "../../../certificates/self-signed.ts";
import type { Secret } from "../../../kube/kinds.ts";
import { givenTls } from "../../../pod/layout.ts";
import { dataOf } from "../../identity/secret.ts";
import { childMeta } from "./child.ts";

export function lastCertificate(server: ChatmailServer, { certificatePem, keyPem }: KeyPair): Secret {
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: childMeta(server, childNames(server.metadata.name).lastTlsSecret),
    type: "kubernetes.io/tls",
    data: dataOf({ [givenTls.certificate]: certificatePem, [givenTls.key]: keyPem }),
  };
}
