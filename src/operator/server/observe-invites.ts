/** Reads the invites of a server, where its registration asks for one. */
import { randomInt } from "node:crypto";
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import { childNames } from "../../api/names.ts";
import { resources } from "../../kube/kinds.ts";
import { inviteTokenIn } from "../../mail/invite.ts";
import type { LiveSecret } from "./live.ts";
import { isOurs } from "./observe-secret.ts";
import type { SeenInvites } from "./seen.ts";
import type { World } from "./world.ts";

/** Undefined where nobody needs an invite. */
export async function observeInvites(
  server: ChatmailServer,
  world: World,
  signal: AbortSignal,
): Promise<SeenInvites | undefined> {
  const { namespace, name } = server.metadata;
  const { registration, invitesSecretName: given } = server.spec.accounts;
  if (registration !== "Invite") return undefined;
  const secretName = given ?? childNames(name).invitesSecret;
  const secret =
    world.stores.secrets.get(namespace, secretName) ??
    (await world.client.get(resources.secret, { namespace, name: secretName }, signal));
  if (given !== undefined && secret && (isOurs(secret) ? given !== childNames(name).invitesSecret : !isPlain(secret)))
    return { secretName, count: 0, unusable: true };
  const values = Object.values(secret?.data ?? {}).map((value) => Buffer.from(value, "base64").toString("utf8"));
  const tokens = values.flatMap((value) => inviteTokenIn(value) ?? []);
  if (given === undefined && !secret) return { secretName, count: 0, newToken: newToken() };
  return { secretName, count: tokens.length };
}

/** Tokens of accounts, registry passwords and certificates are no invites. */
const isPlain = ({ type }: LiveSecret) => type === undefined || type === "Opaque";

/** Letters and digits that nobody takes for others when they read them aloud: 98 bits. */
function newToken(): string {
  const letters = "abcdefghjkmnpqrstuvwxyz23456789";
  return Array.from({ length: 20 }, () => letters[randomInt(letters.length)]).join("");
}
