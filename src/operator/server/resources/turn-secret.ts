import type { ChatmailServer } from "../../../api/chatmail-server.ts";
import { childNames } from "../../../api/names.ts";
import type { Secret } from "../../../kube/kinds.ts";
import { turnSecretKey } from "../../../pod/turn.ts";
import { keptSecret } from "./kept-secret.ts";

/** What TURN credentials are made with: whoever knows it may relay through the server. */
export function turnSecret(server: ChatmailServer, secret: string): Secret {
  return keptSecret(server, childNames(server.metadata.name).turnSecret, { [turnSecretKey]: secret });
}
