/**
 * The invites that count now: the Secret as it is mounted, one in each file. Read for each
 * question, so taking one back needs no restart.
 */
import { join } from "node:path";
import { inviteTokenIn } from "../../mail/invite.ts";
import type { DomainLimits } from "../../pod/relay-config.ts";
import { namesIn, readIfThere } from "../files.ts";

export async function readInvites({ invitesFolder }: Pick<DomainLimits, "invitesFolder">): Promise<string[]> {
  if (invitesFolder === undefined) return [];
  // ..data and its like are the kubelet's way to change all files at once
  const names = (await namesIn(invitesFolder)).filter((name) => !name.startsWith(".."));
  const texts = await Promise.all(names.map((name) => readIfThere(join(invitesFolder, name))));
  return texts.flatMap((text) => inviteTokenIn(text ?? "") ?? []);
}
