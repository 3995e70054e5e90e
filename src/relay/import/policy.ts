/** What of another relay's account is taken, and what of it counts here. Pure. */
import { createHash } from "node:crypto";
import { flagFiles } from "../accounts/flags.ts";
import { notesName, passwordName } from "../accounts/store.ts";
import { type Tokens, validTokens } from "../metadata/policy.ts";
import { tokensName } from "../metadata/tokens.ts";

/** Folders beside the inbox, as Maildir++ has them: `.NAME`. */
const folder = String.raw`\.[^/\0]*[^/\0.][^/\0]*`;
const ownPath = new RegExp(String.raw`^(?:(${folder})/)?([^/\0]+)$`);
const mailPath = new RegExp(String.raw`^(?:(${folder})/)?(cur|new)/([^/\0]+)$`);

/** What makes a mailbox the same for clients: UIDs of mails, and folders they have chosen. */
const isMailboxFile = (name: string) => /^dovecot-(?:uidlist|uidvalidity(?:\.[0-9a-f]{1,8})?|keywords)$/.test(name);

export type OwnKind = "password" | "flag" | "tokens" | "mailbox";

/** Undefined for a file that is not taken. */
export function ownKind(path: string): OwnKind | undefined {
  const [, inFolder, name = ""] = ownPath.exec(path) ?? [];
  if (inFolder !== undefined) return isMailboxFile(name) || name === "maildirfolder" ? "mailbox" : undefined;
  if (name === passwordName) return "password";
  if (name === tokensName) return "tokens";
  if ((flagFiles as readonly string[]).includes(name)) return "flag";
  return isMailboxFile(name) || name === "subscriptions" ? "mailbox" : undefined;
}

/** Is made again here, or means nothing without the programs of the other relay. */
export const isMadeAgain = (name: string): boolean =>
  name.startsWith("dovecot") || name === "maildirsize" || /\.(?:lock|tmp)$/.test(name) || name === notesName;

/** What was imported of an account. */
export interface Notes {
  /** Digests of its own files as they came. */
  files: Readonly<Record<string, string>>;
  /** Paths of its mails in the other relay. */
  mails: readonly string[];
}

/** Of a text that is none, or is not there: nothing was imported. */
export function notesIn(text: string | undefined): Notes {
  try {
    const { files, mails } = JSON.parse(text ?? "{}") as { files?: Record<string, string>; mails?: string[] };
    return { files: { ...files }, mails: Array.isArray(mails) ? mails : [] };
  } catch {
    return { files: {}, mails: [] };
  }
}

export interface MailPath {
  /** "" for the inbox. */
  folder: string;
  part: "cur" | "new";
  name: string;
}

export function mailAt(path: string): MailPath | undefined {
  const [, inFolder = "", part, name = ""] = mailPath.exec(path) ?? [];
  if (name === "" || name === "." || name === "..") return undefined;
  return { folder: inFolder, part: part as MailPath["part"], name };
}

/** The same for a mail whatever flags it has, seen or not. */
const keyOf = (path: string) => path.replace(/(?:cur|new)\/([^/:]*)[^/]*$/, "$1");

export interface MailDecision {
  /** Numbers of those to be sent, from 0. */
  wanted: number[];
  /** Those that have got other flags in the other relay, and none here. */
  moves: { from: string; to: string }[];
}

/**
 * A mail that was imported and is not here was deleted here: it does not come again. `there`: what
 * is here, also from a pass that was interrupted.
 */
export function decideMails(
  given: readonly string[],
  there: readonly string[],
  imported: readonly string[],
): MailDecision {
  const byKey = (paths: readonly string[]) => new Map(paths.map((path) => [keyOf(path), path]));
  const [here, before] = [byKey(there), byKey(imported)];
  const decision: MailDecision = { wanted: [], moves: [] };
  for (const [at, path] of given.entries()) {
    const [is, was] = [here.get(keyOf(path)), before.get(keyOf(path))];
    if (is === undefined && was === undefined) decision.wanted.push(at);
    else if (was !== undefined && was !== path && is === was) decision.moves.push({ from: was, to: path });
  }
  return decision;
}

export const digestOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("base64url");

/** What is done with a file that is not merged. Undefined digest: it is not there. */
export interface FileSeen {
  given: string;
  there: string | undefined;
  /** As it was imported the last time. */
  imported: string | undefined;
}

/** A mailbox that Dovecot has opened here goes on as it is here. */
export function decideFile({ given, there, imported }: FileSeen): "write" | "leave" {
  if (there === given) return "leave";
  return there === imported ? "write" : "leave";
}

/**
 * The other relay's password counts: its people own their addresses, whoever has taken one here
 * meanwhile. But one that was imported and is another one or none now was changed by an
 * administrator.
 */
export function decidePassword({ given, there, imported }: FileSeen): "write" | "same" | "keep" {
  if (imported !== undefined && there !== imported) return there === given ? "same" : "keep";
  return there === given ? "same" : "write";
}

/** Of a token that both have, the later time counts. */
export function mergeTokens(here: Tokens, given: Tokens, nowSeconds: number): Tokens {
  const all: Record<string, number> = { ...given, ...here };
  for (const [token, setAt] of Object.entries(given)) all[token] = Math.max(setAt, all[token] ?? setAt);
  return validTokens(all, nowSeconds);
}
