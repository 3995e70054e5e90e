/**
 * The files of a relay of cmdeploy (chatmail/relay), on this machine: all of its file system, or a
 * copy of parts of it with the same paths below a folder.
 */
import { open, readdir, readFile, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { codeOf, messageOf } from "../../lib/text.ts";
import { mailDomainOf } from "../../mail/address.ts";
import { isMadeAgain, mailAt, ownKind } from "../../relay/import/policy.ts";
import { type Ini, readIni } from "./chatmail-ini.ts";
import { ImportProblem } from "./problem.ts";

export interface Tree {
  domain: string;
  /** Each folder in it is an account. */
  mailboxes: string;
  /** Undefined where there is no chatmail.ini. */
  ini: Ini | undefined;
  /** The private key, in PEM. */
  dkimPem: string | undefined;
  /** No addresses are made there. */
  closed: boolean;
  /** Files that are there and are not carried over. */
  others: string[];
}

/** As cmdeploy sets relays up. */
const places = {
  ini: ["usr/local/lib/chatmaild/chatmail.ini", "chatmail.ini"],
  dkim: ["etc/dkimkeys/opendkim.private", "opendkim.private"],
  noCreate: ["etc/chatmail-nocreate"],
} as const;
const mailRoots = ["home/vmail/mail", "mail", ""] as const;
/** Of which a person is told. */
const left = {
  "home/vmail/passdb.sqlite": "accounts in the database of earlier versions that have not logged in since",
  "var/lib/acme": "certificates and the ACME account",
  "var/www/html": "the website",
  "var/spool/postfix/deferred": "mail in Postfix's queue",
} as const;

/** The key that cmdeploy's relays sign with has this selector. */
export const selector = "opendkim";

/** Throws ImportProblem where there are no mailboxes, or where they can't be read. */
export async function findTree(path: string): Promise<Tree> {
  const root = resolve(path);
  if (!(await isFolder(root))) throw new ImportProblem(`${path}: there is no such directory`);
  const iniPath = await firstOf(root, places.ini);
  const ini = iniPath === undefined ? undefined : readIni(await textAt(iniPath));
  const domain = ini?.get("mail_domain")?.toLowerCase();
  const dkimPath = await firstOf(root, places.dkim);
  const found: Tree[] = [];
  const given = ini?.get("mailboxes_dir");
  const folders = [...(given === undefined ? [] : [join(root, given)])];
  for (const each of mailRoots) {
    if (domain !== undefined) folders.push(join(root, each, domain));
    else folders.push(...(await foldersIn(join(root, each))).map((name) => join(root, each, name)));
  }
  // the directory may be that of the mailboxes itself
  folders.push(root);
  const others: string[] = [];
  for (const [at, what] of Object.entries(left))
    if (await isThere(join(root, at)).catch(() => false)) others.push(what);
  for (const mailboxes of new Set(folders)) {
    const of = domain ?? (await domainOfMailboxes(mailboxes));
    if (of === undefined || !(await hasAccounts(mailboxes, of))) continue;
    found.push({
      domain: of,
      mailboxes,
      ini,
      dkimPem: dkimPath === undefined ? undefined : await textAt(dkimPath),
      closed: (await firstOf(root, places.noCreate)) !== undefined,
      others,
    });
  }
  const [first, ...more] = found;
  if (!first)
    throw new ImportProblem(
      `${path} has no mailboxes${domain === undefined ? "" : ` of ${domain}`}: a relay of cmdeploy has them in /home/vmail/mail/DOMAIN. Name a directory that has this path below it, or the directory DOMAIN itself`,
    );
  const other = more.find((each) => each.domain !== first.domain);
  if (other)
    throw new ImportProblem(
      `${path} has mailboxes of ${first.domain} and of ${other.domain}: name the directory of one of them`,
    );
  return first;
}

/** That of the first account in a folder. */
async function domainOfMailboxes(folder: string): Promise<string | undefined> {
  const name = (await foldersIn(folder)).find((each) => isAccountName(each));
  const domain = name === undefined ? undefined : mailDomainOf(name);
  return domain === basename(folder) ? domain : undefined;
}

const isAccountName = (name: string) => /^[a-z0-9._-]{1,64}@[^@/]+$/.test(name);

async function hasAccounts(folder: string, domain: string): Promise<boolean> {
  if (basename(folder) !== domain && !(await foldersIn(folder)).some((name) => isAccountName(name))) return false;
  return isFolder(folder);
}

export interface Names {
  accounts: string[];
  /** Folders with an @ in their name that can't be accounts of the domain. */
  strange: string[];
}

/** In one order each time. */
export async function accountNames({ mailboxes, domain }: Tree): Promise<Names> {
  const names = (await foldersIn(mailboxes)).filter((name) => name.includes("@"));
  const isOne = (name: string) => isAccountName(name) && mailDomainOf(name) === domain;
  return { accounts: names.filter(isOne), strange: names.filter((name) => !isOne(name)) };
}

export interface AccountFile {
  path: string;
  bytes: Buffer;
  modifiedMs: number;
}

export interface AccountSeen {
  files: AccountFile[];
  /** Names of files that nobody here knows. */
  left: string[];
}

/** An account's own files. One that goes meanwhile is left out. */
export async function readAccount(tree: Tree, address: string): Promise<AccountSeen> {
  const home = join(tree.mailboxes, address);
  const seen: AccountSeen = { files: [], left: [] };
  for (const folder of ["", ...(await mailFoldersIn(home))])
    for (const entry of await entriesIn(join(home, folder))) {
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (!entry.isFile()) continue;
      if (ownKind(path)) seen.files.push(...(await fileAt(home, path)));
      else if (!isMadeAgain(entry.name)) seen.left.push(path);
    }
  return seen;
}

async function fileAt(home: string, path: string): Promise<AccountFile[]> {
  try {
    const [bytes, { mtimeMs }] = [await readFile(join(home, path)), await stat(join(home, path))];
    return [{ path, bytes, modifiedMs: mtimeMs }];
  } catch (thrown) {
    if (codeOf(thrown) === "ENOENT") return [];
    throw readable(thrown);
  }
}

/** Paths of an account's mails: "cur/NAME", ".Folder/new/NAME". */
export async function mailsOf(tree: Tree, address: string): Promise<string[]> {
  const home = join(tree.mailboxes, address);
  const mails: string[] = [];
  for (const folder of ["", ...(await mailFoldersIn(home))])
    for (const part of ["cur", "new"]) {
      const at = folder === "" ? part : `${folder}/${part}`;
      for (const entry of await entriesIn(join(home, at)))
        if (entry.isFile() && mailAt(`${at}/${entry.name}`)) mails.push(`${at}/${entry.name}`);
    }
  return mails;
}

/** Undefined where it has gone, or has got other flags, meanwhile: the next pass has it. */
export async function openMail(tree: Tree, address: string, path: string) {
  try {
    const file = await open(join(tree.mailboxes, address, path), "r");
    const { size, mtimeMs } = await file.stat();
    return { file, bytes: size, modifiedMs: mtimeMs };
  } catch (thrown) {
    if (codeOf(thrown) === "ENOENT") return undefined;
    throw readable(thrown);
  }
}

/** 0 where it has gone meanwhile. */
export async function mailBytes(tree: Tree, address: string, path: string): Promise<number> {
  try {
    return (await stat(join(tree.mailboxes, address, path))).size;
  } catch (thrown) {
    if (codeOf(thrown) === "ENOENT") return 0;
    throw readable(thrown);
  }
}

const mailFoldersIn = async (home: string) =>
  (await foldersIn(home)).filter((name) => mailAt(`${name}/cur/x`) !== undefined);

async function foldersIn(path: string): Promise<string[]> {
  return (await entriesIn(path)).filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

async function entriesIn(path: string) {
  try {
    const entries = await readdir(path, { withFileTypes: true });
    return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (thrown) {
    const code = codeOf(thrown);
    if (code === "ENOENT" || code === "ENOTDIR") return [];
    throw readable(thrown);
  }
}

async function firstOf(root: string, paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) if (await isThere(join(root, path))) return join(root, path);
  return undefined;
}

async function isThere(path: string): Promise<boolean> {
  return (await statsOf(path)) !== undefined;
}

export async function isFolder(path: string): Promise<boolean> {
  return (await statsOf(path))?.isDirectory() ?? false;
}

/** Undefined where there is nothing. Throws where that can't be known. */
async function statsOf(path: string) {
  try {
    return await stat(path);
  } catch (thrown) {
    const code = codeOf(thrown);
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw readable(thrown);
  }
}

async function textAt(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (thrown) {
    throw readable(thrown);
  }
}

/** In a pod it is not the administrator that reads, so the user is named. */
function readable(thrown: unknown): unknown {
  if (codeOf(thrown) !== "EACCES") return thrown;
  return new ImportProblem(
    `${messageOf(thrown)}: user ${process.getuid?.()}, as which this runs, must be able to read all of the directory`,
    { cause: thrown },
  );
}
