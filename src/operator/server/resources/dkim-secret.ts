import type { ChatmailServer } from "../../../api/chatmail-server.ts";
import { childNames } from "../../../api/names.ts";
import type { Secret } from "../../../kube/kinds.ts";
import { rsaKey } from "../../../pod/dkim.ts";
import { keptSecret } from "./kept-secret.ts";

/** The key that the domain signs with; its public half stands in the DNS. A person may add another, such as ed25519.pem. */
export function dkimSecret(server: ChatmailServer, rsaKeyPem: string): Secret {
  return keptSecret(server, childNames(server.metadata.name).dkimSecret, { [rsaKey.file]: rsaKeyPem });
}
