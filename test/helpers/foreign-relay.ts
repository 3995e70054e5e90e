/**
 * The files of a relay that was set up with cmdeploy (chatmail/relay), by what is known of its
 * layout.
 */
import { generateKeyPairSync } from "node:crypto";
import { mkdirSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { addressDomain } from "../../src/mail/address.ts";
import { sha512Crypt } from "../../src/relay/accounts/sha512-crypt.ts";

export interface ForeignMail {
  /** "" for the inbox, else a folder such as ".DeltaChat". */
  folder?: string;
  /** Letters of Maildir, sorted. */
  flags?: string;
  /** Unseen by any client: it lies in new. */
  isNew?: boolean;
  text: string;
}

export interface ForeignAccount {
  password?: string;
  lastLogin?: string;
  mails?: readonly ForeignMail[];
  /** Names and texts of further files. */
  files?: Readonly<Record<string, string>>;
}

/** As cmdeploy init writes it. */
export const foreignIni = (domain: string, more = "") => `[params]
# mail domain (MUST be set to fully qualified chat mail domain)
mail_domain = ${domain}
max_user_send_per_minute = 60
max_user_send_burst_size = 10
max_mailbox_size = 500M
max_message_size = 31457280
delete_mails_after = 20
delete_large_after = 7
delete_inactive_users_after = 90
username_min_length = 9
username_max_length = 9
password_min_length = 9
www_folder =
disable_ipv6 = False
${more}`;

/** As opendkim-genkey makes it. */
export function opendkimKey(): string {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return privateKey.export({ type: "pkcs1", format: "pem" }) as string;
}

export class ForeignRelay {
  readonly root: string;
  readonly domain: string;
  readonly dkimPem: string;
  #mails = 0;

  constructor(root: string, domain: string, dkimPem = opendkimKey()) {
    this.root = root;
    this.domain = domain;
    this.dkimPem = dkimPem;
    this.write("etc/dkimkeys/opendkim.private", this.dkimPem);
    this.write("usr/local/lib/chatmaild/chatmail.ini", foreignIni(domain));
    this.write("var/lib/acme/live/x/privkey", "");
    mkdirSync(this.mailboxes, { recursive: true, mode: 0o700 });
  }

  get mailboxes(): string {
    return join(this.root, "home/vmail/mail", this.domain);
  }

  write(path: string, text: string | Buffer): void {
    mkdirSync(dirname(join(this.root, path)), { recursive: true });
    writeFileSync(join(this.root, path), text);
  }

  home(address: string): string {
    return join(this.mailboxes, address);
  }

  /** Returns its address. */
  account(local: string, { password, lastLogin, mails = [], files = {} }: ForeignAccount = {}): string {
    const address = `${local}@${addressDomain(this.domain)}`;
    const home = this.home(address);
    for (const part of ["cur", "new", "tmp"]) mkdirSync(join(home, part), { recursive: true });
    const given = {
      enforceE2EEincoming: "",
      "password.lock": "",
      maildirsize: "524288000S\n0 0\n",
      "dovecot.index.log": "binary",
      ...(password !== undefined && { password: `{SHA512-CRYPT}${sha512Crypt(password, "$6$saltsalt")}` }),
      ...files,
    };
    for (const [name, text] of Object.entries(given)) {
      mkdirSync(dirname(join(home, name)), { recursive: true });
      writeFileSync(join(home, name), text);
    }
    const day = Date.parse(lastLogin ?? new Date().toISOString().slice(0, 10)) / 1000;
    if (password !== undefined) utimesSync(join(home, "password"), day, day);
    const paths = mails.map((mail) => this.mail(address, mail)).filter((path) => !path.startsWith("."));
    if (paths.length > 0) {
      const names = paths.map((path) => path.slice(path.indexOf("/") + 1).replace(/:.*$/, ""));
      const lines = names.map((name, at) => `${7 + 10 * at} :${name}`);
      const guid = "0123456789abcdef0123456789abcdef";
      writeFileSync(
        join(home, "dovecot-uidlist"),
        `3 V1790000000 N${17 + 10 * names.length} G${guid}\n${lines.join("\n")}\n`,
      );
    }
    return address;
  }

  /** Compressed, as Dovecot does it there. Returns its path in the account's folder. */
  mail(address: string, { folder = "", flags = "", isNew = false, text }: ForeignMail): string {
    const seconds = Math.floor(Date.now() / 1000) - 3600;
    const base = `${seconds}.M${++this.#mails}P1.old,S=${Buffer.byteLength(text)},W=${Buffer.byteLength(text)}`;
    const name = isNew ? base : `${base}:2,${flags}`;
    const path = join(folder, isNew ? "new" : "cur", name);
    const at = join(this.home(address), path);
    for (const part of ["cur", "new", "tmp"]) mkdirSync(join(this.home(address), folder, part), { recursive: true });
    if (folder !== "") writeFileSync(join(this.home(address), folder, "maildirfolder"), "");
    writeFileSync(at, gzipSync(text));
    utimesSync(at, seconds, seconds);
    return path;
  }
}
