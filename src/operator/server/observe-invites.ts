/** The invites of a server, where its registration asks for one. */
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import { childNames } from "../../api/names.ts";
import type { Secret } from "../../kube/kinds.ts";
import { type FoundIdentities, presentIn, secretAt } from "../identity/read.ts";
import { isOurs, textsIn } from "../identity/secret.ts";
import { countOfInvites } from "../identity/table.ts";
import type { SeenInvites } from "./seen.ts";
import type { World } from "./world.ts";

/** Undefined where nobody needs an invite. */
export async function observeInvites(
  server: ChatmailServer,
  { invites }: FoundIdentities,
  world: World,
  signal: AbortSignal,
): Promise<SeenInvites | undefined> {
  const { registration, invitesSecretName: given } = server.spec.accounts;
  if (registration !== "Invite") return undefined;
  const { namespace, name } = server.metadata;
  const own = childNames(name).invitesSecret;
  if (given === undefined) return { secretName: own, count: presentIn(invites) ?? 0 };
  const secret = await secretAt(namespace, given, world, signal);
  if (!secret) return { secretName: given, count: 0 };
  const canHoldInvites = isOurs(secret) ? given === own : isPlain(secret);
  if (!canHoldInvites) return { secretName: given, count: 0, unusable: true };
  return { secretName: given, count: countOfInvites(textsIn(secret)) };
}

/** Tokens of accounts, registry passwords and certificates are no invites. */
const isPlain = ({ type }: Secret) => type === undefined || type === "Opaque";
