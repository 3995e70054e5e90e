/** IMAP METADATA keys, what the server says of itself, and push tokens with their times (reference §13). Pure. */
import { createHmac } from "node:crypto";

/** What a key of the metadata dict names. */
export type MetadataKey = { kind: "deviceToken" } | { kind: "server"; name: string } | { kind: "other" };

const guid = "[0-9a-f]{32}";
const tokenKey = new RegExp(`^priv/${guid}/devicetoken$`);
const serverKey = new RegExp(`^shared/${guid}/vendor/vendor[.]dovecot/pvt/server/vendor/deltachat/([a-z]+)$`);

export function metadataKey(key: string): MetadataKey {
  if (tokenKey.test(key)) return { kind: "deviceToken" };
  const name = serverKey.exec(key)?.[1];
  return name === undefined ? { kind: "other" } : { kind: "server", name };
}

/** What the server says of itself, by the name behind /shared/vendor/deltachat/. */
export const serverValues: Readonly<Record<string, string>> = {
  /** Recipients of one message: Postfix's smtpd_recipient_limit. */
  maxsmtprecipients: "1000",
};

const credentialSeconds = 5 * 86_400;

/**
 * The TURN server and credentials for it that end by themselves (the TURN REST scheme: the name is the Unix time of the end, the password its
 * HMAC). Clients split at the first three colons.
 */
export function turnValue(server: { host: string; port: number }, secret: string, nowSeconds: number): string {
  const username = String(nowSeconds + credentialSeconds);
  const password = createHmac("sha1", secret).update(username).digest("base64");
  return `${server.host}:${server.port}:${username}:${password}`;
}

/** Unix time of when each was last set, in the order in which they came. */
export type Tokens = Readonly<Record<string, number>>;

const tokenDays = 90;
const futureSeconds = 60;
/** More devices than anybody has; the oldest go. */
const maxTokens = 100;

/** Printable ASCII without spaces (a space stands between tokens), of at most 4096 characters. */
export function isToken(text: string): boolean {
  return /^[\x21-\x7e]{1,4096}$/.test(text);
}

/** Without those that were last set too long ago, or in the future. */
export function validTokens(tokens: Tokens, nowSeconds: number): Tokens {
  const isValid = (setAt: number) => setAt > nowSeconds - tokenDays * 86_400 && setAt <= nowSeconds + futureSeconds;
  return Object.fromEntries(Object.entries(tokens).filter(([, setAt]) => isValid(setAt)));
}

/** A token that is there keeps its place and gets a new time. */
export function withToken(tokens: Tokens, token: string, nowSeconds: number): Tokens {
  const next = Object.entries({ ...validTokens(tokens, nowSeconds), [token]: nowSeconds });
  return Object.fromEntries(next.slice(-maxTokens));
}

export function withoutToken(tokens: Tokens, token: string, nowSeconds: number): Tokens {
  const { [token]: _, ...rest } = validTokens(tokens, nowSeconds);
  return rest;
}

/** The tokens in the text of metadata.json; its old form had a list. Undefined for a text that is neither. */
export function parseTokens(text: string, nowSeconds: number): Tokens | undefined {
  let stored: unknown;
  try {
    stored = (JSON.parse(text) as { devicetoken?: unknown } | null)?.devicetoken ?? {};
  } catch {
    return undefined;
  }
  if (typeof stored !== "object" || stored === null) return undefined;
  const entries: [string, unknown][] = Array.isArray(stored)
    ? stored.flatMap((token): [string, unknown][] => (typeof token === "string" ? [[token, nowSeconds]] : []))
    : Object.entries(stored);
  const right = entries.filter((each): each is [string, number] => isToken(each[0]) && Number.isFinite(each[1]));
  return Object.fromEntries(right);
}
