/**
 * IMAP METADATA keys, what the server says of itself, and push tokens with their times (chatmail
 * protocol §13). Pure.
 */
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

/**
 * TURN credentials are valid for at least so long, and for less than twice as long. Clients ask
 * again 12 hours before the end.
 */
const credentialSeconds = 216_000;

/**
 * The TURN server and credentials for it that end by themselves (the TURN REST scheme: the name is
 * the Unix time of the end, the password its HMAC). coturn counts allocations by the name, so an
 * account has one name at a time: its end is moved to a second that a keyed hash of the account
 * gives, the same in every 60 hours. The name can't have another part: clients read all of it as
 * the time. Clients split at the first three colons.
 */
export function turnValue(options: {
  server: { host: string; port: number };
  secret: string;
  account: string;
  nowSeconds: number;
}): string {
  const { server, secret, account, nowSeconds } = options;
  const hash = createHmac("sha256", secret).update(`account ${account}`).digest();
  const second = hash.readUIntBE(0, 6) % credentialSeconds;
  const soonest = nowSeconds + credentialSeconds;
  const username = String(
    soonest + ((((second - soonest) % credentialSeconds) + credentialSeconds) % credentialSeconds),
  );
  const password = createHmac("sha1", secret).update(username).digest("base64");
  return `${server.host}:${server.port}:${username}:${password}`;
}

/** Unix time of when each was last set, in the order in which they came. */
export type Tokens = Readonly<Record<string, number>>;

const tokenDays = 90;
const futureSeconds = 60;
/** More devices than anybody has; those that were set longest ago go. */
export const maxTokens = 10;
/**
 * A client sets its token at each connection: one that was set so short a time ago is not written
 * again.
 */
const sameForSeconds = 86_400;

/** Printable ASCII without spaces (a space stands between tokens), of at most 4096 characters. */
export function isToken(text: string): boolean {
  return /^[\x21-\x7e]{1,4096}$/.test(text);
}

/**
 * Without those that were last set too long ago, or in the future, and of the others the ones set
 * last.
 */
export function validTokens(tokens: Tokens, nowSeconds: number): Tokens {
  const isValid = (setAt: number) => setAt > nowSeconds - tokenDays * 86_400 && setAt <= nowSeconds + futureSeconds;
  const valid = Object.entries(tokens).filter(([, setAt]) => isValid(setAt));
  const kept = new Set([...valid].sort(([, one], [, other]) => one - other).slice(-maxTokens));
  return Object.fromEntries(valid.filter((each) => kept.has(each)));
}

/**
 * A token that is there keeps its place and, unless it was set a short time ago, gets a new time.
 */
export function withTokens(tokens: Tokens, set: readonly string[], nowSeconds: number): Tokens {
  const valid = validTokens(tokens, nowSeconds);
  let next = valid;
  for (const token of set) {
    const before = Object.hasOwn(valid, token) ? (valid[token] ?? 0) : 0;
    const setAt = before > nowSeconds - sameForSeconds && before <= nowSeconds ? before : nowSeconds;
    next = validTokens({ ...next, [token]: setAt }, nowSeconds);
  }
  return next;
}

export function withoutToken(tokens: Tokens, token: string, nowSeconds: number): Tokens {
  const { [token]: _, ...rest } = validTokens(tokens, nowSeconds);
  return rest;
}

/**
 * The tokens in the text of metadata.json; its old form had a list. Undefined for a text that is
 * neither.
 */
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
