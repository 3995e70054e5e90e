/**
 * Decides whether a visitor may register, and creates credentials and links (chatmail protocol
 * §16). No account is created: that happens at the first login. Pure; randomness is passed in.
 */
import { isSelfSignedDomain } from "../../api/domain.ts";
import { urlHost } from "../../lib/url-host.ts";
import { addressDomain } from "../../mail/address.ts";
import { inviteLink, publicInvite } from "../../mail/invite.ts";
import type { DomainLimits } from "../../pod/relay-config.ts";
import { maxPasswordBytes } from "../accounts/policy.ts";
import { isInvite, provenPassword } from "../invites/policy.ts";

export interface Credentials {
  email: string;
  password: string;
  /** Where certificates are self-signed: the link says that this is fine. */
  dclogin_url?: string;
}

/** What an answer goes by. */
export interface Asker {
  domain: string;
  limits: DomainLimits;
  /** The invite that was shown. */
  token: string | undefined;
  /** The invites that count now. */
  tokens: readonly string[];
}

export type Refusal = "closed" | "inviteMissing" | "inviteInvalid";

/** What clients show. */
export const refusalSentences = {
  closed: "no new addresses are made here",
  inviteMissing: "an address here needs an invite",
  inviteInvalid: "this invite is not valid",
} as const satisfies Record<Refusal, string>;

/** Why nobody gets an address by this question; undefined when somebody does. */
export function refusal({ limits, token, tokens }: Asker): Refusal | undefined {
  if (limits.registration === "Closed") return "closed";
  if (limits.registration === "Open" || isInvite(token, tokens)) return undefined;
  return token === undefined ? "inviteMissing" : "inviteInvalid";
}

const localLetters = "abcdefghijklmnopqrstuvwxyz0123456789";
/** Every printable ASCII character but the space. */
const passwordLetters = Array.from({ length: 94 }, (_, index) => String.fromCharCode(33 + index)).join("");

/** Where names are short, so many are tried until one is free. */
const mostTries = 200;

/**
 * For who has been let in. `below` gives a uniform random whole number from 0 up to and without its
 * argument; `isTaken` says whether there is an account of this address.
 */
export function newCredentials(
  { domain, limits, token }: Asker,
  below: (max: number) => number,
  isTaken: (address: string) => boolean = () => false,
): Credentials {
  const text = (letters: string, length: number) =>
    Array.from({ length }, () => letters[below(letters.length)] ?? "").join("");
  const someAddress = () => `${text(localLetters, limits.usernameMaxLength)}@${addressDomain(domain)}`;
  let email = someAddress();
  for (let tries = 1; tries < mostTries && isTaken(email); tries++) email = someAddress();
  const password =
    limits.registration === "Invite" && token !== undefined
      ? provenPassword({ token, address: email, minLength: limits.passwordMinLength, below })
      : text(passwordLetters, Math.min(limits.passwordMinLength + 3, maxPasswordBytes));
  return isSelfSignedDomain(domain)
    ? { email, password, dclogin_url: loginLink({ domain, email, password }) }
    : { email, password };
}

function loginLink(options: { domain: string; email: string; password: string }): string {
  const { domain, email, password } = options;
  const hosts = email.includes("[") ? `&ih=${domain}&sh=${domain}` : "";
  return `dclogin:${email}?p=${percentEncoded(password)}&v=1${hosts}&ic=3`;
}

function percentEncoded(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*~._-]/g,
    (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** What a page for somebody who wants to join shows. */
export type Welcome =
  /** A link that is good for everybody who has come so far. */
  | { kind: "link"; link: string }
  /** A link that is made for this visitor alone. */
  | { kind: "own" }
  /** The first page says how it is. */
  | { kind: "firstPage" }
  | { kind: "notValid" };

/** `token`: undefined on the page for everybody, the end of its path on the page for an invite. */
export function welcome({ domain, limits, token, tokens }: Asker): Welcome {
  if (limits.registration === "Closed") return { kind: "firstPage" };
  if (limits.registration === "Open")
    return publicInvite(domain, limits).link === undefined ? { kind: "own" } : { kind: "firstPage" };
  if (token === undefined) return { kind: "firstPage" };
  if (!isInvite(token, tokens)) return { kind: "notValid" };
  const link = inviteLink(domain, token);
  return link === undefined ? { kind: "own" } : { kind: "link", link };
}

/** The mail domain that a Host header means: with one domain always that one. */
export function domainOfHost(host: string | undefined, domains: readonly string[]): string | undefined {
  const [only] = domains;
  if (domains.length === 1) return only;
  const name = (host ?? "").toLowerCase().replace(/:\d+$/, "");
  return domains.find((domain) => urlHost(domain) === name);
}
