/** Fresh credentials (reference §16). Nothing is made: the address comes into being when somebody logs in with it. Pure but for the random numbers given. */
import { isSelfSignedDomain } from "../../api/domain.ts";
import { addressDomain } from "../../mail/address.ts";
import type { DomainLimits } from "../../mail/relay-config.ts";

export interface Credentials {
  email: string;
  password: string;
  /** Where certificates are self-signed: the link says that this is fine. */
  dclogin_url?: string;
}

const localLetters = "abcdefghijklmnopqrstuvwxyz0123456789";
/** Every printable ASCII character but the space. */
const passwordLetters = Array.from({ length: 94 }, (_, index) => String.fromCharCode(33 + index)).join("");

/** `below` gives a uniform random whole number from 0 up to and without its argument. */
export function newCredentials(domain: string, limits: DomainLimits, below: (max: number) => number): Credentials {
  const text = (letters: string, length: number) =>
    Array.from({ length }, () => letters[below(letters.length)] ?? "").join("");
  const email = `${text(localLetters, limits.usernameMaxLength)}@${addressDomain(domain)}`;
  const password = text(passwordLetters, limits.passwordMinLength + 3);
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

/** The mail domain that a Host header means: with one domain always that one. */
export function domainOfHost(host: string | undefined, domains: readonly string[]): string | undefined {
  const [only] = domains;
  if (domains.length === 1) return only;
  const name = (host ?? "").toLowerCase().replace(/:\d+$/, "");
  return domains.includes(name) ? name : undefined;
}
