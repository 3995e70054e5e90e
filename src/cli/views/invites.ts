/** The invites of a server. Pure. */
import type { WrittenServer } from "../../api/chatmail-server.ts";
import { inviteLink, invitePage, inviteTokenIn } from "../../mail/invite.ts";

export interface Invite {
  /** Key in the Secret; absent where everybody may join. */
  key?: string;
  /** What Delta Chat makes an address of. */
  link?: string;
  /** What a browser opens. */
  page?: string;
}

/** Where everybody may join; undefined where nobody may, or holders of an invite. */
export function openInvite({ status }: Pick<WrittenServer, "status">): Invite | undefined {
  const { link, page } = status?.invite ?? {};
  return link === undefined && page === undefined ? undefined : { ...(link && { link }), ...(page && { page }) };
}

/** `data` as the Secret has it: base64. Keys without an invite are left out. */
export function invitesIn(domain: string, data: Readonly<Record<string, string>>): Invite[] {
  return Object.entries(data).flatMap(([key, value]) => {
    const token = inviteTokenIn(Buffer.from(value, "base64").toString());
    return token === undefined ? [] : [inviteOf(domain, key, token)];
  });
}

export function inviteOf(domain: string, key: string, token: string): Invite {
  const link = inviteLink(domain, token);
  return { key, page: invitePage(domain, token), ...(link && { link }) };
}

/** As Secrets allow them. */
export const isKey = (text: string): boolean => /^[-._a-zA-Z0-9]{1,253}$/.test(text) && !text.startsWith("..");

/** A key that no invite has yet: "invite-2", "invite-3" … */
export function freeKey(taken: readonly string[]): string {
  for (let number = taken.length + 1; ; number++) if (!taken.includes(`invite-${number}`)) return `invite-${number}`;
}

/** The key that was named, or that holds the token or link that was named. */
export function keyOfInvite(domain: string, data: Readonly<Record<string, string>>, named: string): string | undefined {
  if (named in data) return named;
  const token = inviteTokenIn(named);
  return invitesIn(domain, data).find(({ page }) => token !== undefined && page === invitePage(domain, token))?.key;
}
