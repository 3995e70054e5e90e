import type { ChatmailServer, ChatmailServerStatus } from "../../../api/chatmail-server.ts";
import { publicInvite } from "../../../mail/invite.ts";
import type { Verdict } from "../progress.ts";
import type { Seen, SeenInvites } from "../seen.ts";

/**
 * What may be told to everybody who may read the resource; an invite's token stays in its Secret.
 */
export function inviteOf({ spec }: ChatmailServer, { invites }: Seen): Pick<ChatmailServerStatus, "invite"> {
  const { registration } = spec.accounts;
  if (registration === "Closed") return {};
  if (invites) return { invite: { secretName: invites.secretName } };
  return { invite: publicInvite(spec.domain, spec.accounts) };
}

export function invitesVerdict({ secretName, count, unusable }: SeenInvites): Verdict {
  if (unusable) {
    const message = `Secret ${secretName} can't be used for invites: it must be of type Opaque and must not be created by the operator for another purpose`;
    return { status: "False", reason: "InvitesMissing", message };
  }
  if (count > 0) return { status: "True", reason: "InvitesThere", message: `${count} in Secret ${secretName}` };
  const message = `nobody new can join: no key of Secret ${secretName} holds an invite (8 to 128 letters, digits, - and _)`;
  return { status: "False", reason: "InvitesMissing", message };
}
