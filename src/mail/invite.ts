/** How people join a relay (reference: the `dcaccount:` scheme of Delta Chat). */

/**
 * The link that Delta Chat turns into an address here. Registration that asks for an invite needs the `/new` form;
 * for the rest the short form does: the client makes up the credentials and logs in.
 */
export function inviteLink(mailDomain: string): string {
  return `dcaccount:${mailDomain}`;
}

export function invitePage(mailDomain: string): string {
  return `https://${mailDomain}/`;
}
