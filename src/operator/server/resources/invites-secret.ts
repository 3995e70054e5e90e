import type { ChatmailServer } from "../../../api/chatmail-server.ts";
import { childNames } from "../../../api/names.ts";
import type { Secret } from "../../../kube/kinds.ts";
import { invitePage } from "../../../mail/invite.ts";
import { keptMeta } from "./child.ts";

/**
 * The first invite, as the link to hand out. Made once: from then on the Secret is the user's, who adds invites under other keys and
 * takes them back by deleting keys. With Retain it outlives the server, so that links which were handed out go on working.
 */
export function invitesSecret(server: ChatmailServer, token: string): Secret {
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: keptMeta(server, childNames(server.metadata.name).invitesSecret),
    data: { link: Buffer.from(invitePage(server.spec.domain, token)).toString("base64") },
  };
}
