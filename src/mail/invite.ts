/**
 * How people join a relay: the links that Delta Chat turns into an address (chatmail protocol
 * §16.1), and the pages that show them.
 */
import type { ChatmailServerSpec } from "../api/chatmail-server.ts";
import { isAddressLiteral, isSelfSignedDomain } from "../api/domain.ts";
import { urlHost } from "../lib/url-host.ts";

export type Registration = ChatmailServerSpec["accounts"]["registration"];

/**
 * A page of the relay daemon that makes up an address for its visitor; where no link does that for
 * everybody.
 */
export const joinPath = "/join";

/** What Delta Chat makes up for `dcaccount:DOMAIN`, in letters and digits. */
const madeUp = { usernameLength: 9, passwordLength: 50 };

/** What a new address has to be like. */
export interface JoinRules {
  registration: Registration;
  usernameMinLength: number;
  usernameMaxLength: number;
  passwordMinLength: number;
}

function takesWhatClientsMakeUp({ usernameMinLength, usernameMaxLength, passwordMinLength }: JoinRules): boolean {
  const { usernameLength, passwordLength } = madeUp;
  return (
    usernameMinLength <= usernameLength && usernameLength <= usernameMaxLength && passwordMinLength <= passwordLength
  );
}

/**
 * What everybody may know. Open: a link that is good for everybody. By the short one the client
 * makes up the credentials and logs in; where its lengths are not allowed, by the long one it asks
 * the relay for them. Clients know no such link for an IP address (core 2.57 looks up one of IPv6
 * as a name, with brackets or without), and before core 2.59 no long one for a name that begins
 * with _; there a page hands out links, each good for one. Invite and Closed: nothing.
 */
export function publicInvite(domain: string, rules: JoinRules): { link?: string; page?: string } {
  if (rules.registration !== "Open") return {};
  const page = `https://${urlHost(domain)}/`;
  if (!isAddressLiteral(domain) && takesWhatClientsMakeUp(rules)) return { link: `dcaccount:${domain}`, page };
  return isSelfSignedDomain(domain)
    ? { page: `https://${urlHost(domain)}${joinPath}` }
    : { link: `dcaccount:https://${urlHost(domain)}/new`, page };
}

/** The page for holders of an invite. */
export function invitePage(domain: string, token: string): string {
  return `https://${urlHost(domain)}/i/${token}`;
}

/**
 * The link for holders of an invite, the same for all of them. Undefined where certificates are
 * self-signed: clients before core 2.59 can't ask nginx for an address on a name that begins with
 * _, and none does it on an IP address; there the page hands out links.
 */
export function inviteLink(domain: string, token: string): string | undefined {
  return isSelfSignedDomain(domain) ? undefined : `dcaccount:https://${urlHost(domain)}/new?i=${token}`;
}

const tokenPattern = /^[A-Za-z0-9_-]{8,128}$/;

/**
 * The token in a value of the Secret of invites: the text itself, or the end of a link. Undefined
 * where there is none.
 */
export function inviteTokenIn(value: string): string | undefined {
  const token = value.trim().replace(/^.*[/=]/s, "");
  return tokenPattern.test(token) ? token : undefined;
}
