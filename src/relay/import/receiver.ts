/**
 * Takes accounts and mail of another relay into the volume, while the relay runs. It may end at any
 * point and begin again: what is noted as imported is on the disk, and what is there without a note
 * is not sent again. Accounts come before all mail, so nobody can take an address meanwhile.
 */
import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { ifThere } from "../../lib/if-there.ts";
import { Pool } from "../../lib/pool.ts";
import { syncToDisk } from "../../lib/sync-to-disk.ts";
import { notesName, passwordName } from "../accounts/store.ts";
import { type Domains, type LocalAddress, limitsOfDomain, localAddress } from "../domains.ts";
import { readIfThere, replaceFile, writeSynced } from "../files.ts";
import { parseTokens } from "../metadata/policy.ts";
import {
  type AccountState,
  type Answer,
  formatVersion,
  Incoming,
  lineOf,
  type OwnFile,
  type Request,
  readRequest,
} from "./frames.ts";
import {
  decideFile,
  decideMails,
  decidePassword,
  digestOf,
  mailAt,
  mergeTokens,
  type Notes,
  notesIn,
  ownKind,
} from "./policy.ts";

export interface ReceiverOptions {
  config: Domains;
  requests: AsyncIterable<Uint8Array>;
  write(bytes: Buffer): Promise<void>;
  /** Of the volume. */
  freeBytes(folder: string): Promise<number>;
  now(): number;
}

/** Accounts and mails that are written at once: each waits for the disk several times. */
const mostAtOnce = 16;
/** Larger ones are written one at a time, as they come. */
const mostHeldBytes = 256 * 1024;

/** Resolves when all that was sent is on the disk. Throws where it is not understood, or ends. */
export async function receiveImport(options: ReceiverOptions): Promise<void> {
  const requests = new Incoming(options.requests);
  const first = await readRequest(requests);
  if (first?.kind !== "begin") throw new Error("the first request is not begin");
  const { format, domain, dryRun } = first;
  if (format !== formatVersion)
    throw new Error(`format ${format} is not known: this image knows ${formatVersion}. Use the plugin of its version`);
  if (!limitsOfDomain(options.config, domain)) throw new Error(`${domain} is no domain of this relay`);
  await options.write(lineOf({ kind: "ready", freeBytes: await options.freeBytes(options.config.mailFolder) }));
  await new Receiver(options, requests, domain, dryRun).run();
}

/** A mailbox of which mails are expected. */
interface Open {
  account: LocalAddress;
  notes: Notes;
  given: readonly string[];
  wanted: ReadonlySet<string>;
  /** Of those, what has come. */
  stored: Set<string>;
  /** Folders that have changed. */
  folders: Set<string>;
  writing: Promise<void>[];
}

class Receiver {
  readonly #options: ReceiverOptions;
  readonly #requests: Incoming;
  readonly #domain: string;
  readonly #dryRun: boolean;
  readonly #pool = new Pool(mostAtOnce);
  readonly #open = new Map<string, Open>();
  #accountsCome = false;

  constructor(options: ReceiverOptions, requests: Incoming, domain: string, dryRun: boolean) {
    this.#options = options;
    this.#requests = requests;
    this.#domain = domain;
    this.#dryRun = dryRun;
  }

  async run(): Promise<void> {
    try {
      for (;;) {
        const request = await readRequest(this.#requests);
        if (!request) throw new Error("the import was interrupted: run it again, and it goes on where it was");
        await this.#take(request);
        if (request.kind === "end") return;
      }
    } finally {
      // what has come is stored, and nothing half written stays behind
      await this.#pool.ended();
    }
  }

  async #take(request: Request): Promise<void> {
    switch (request.kind) {
      case "begin":
        throw new Error("begin comes once");
      case "account": {
        const { address, files } = request;
        const account = this.#accountAt(address);
        this.#accountsCome = true;
        return this.#pool.start(async () => {
          const state = await this.#takeAccount(account, files);
          await this.#answer({ kind: "account", address, state });
        });
      }
      case "mails":
        // accounts first
        if (this.#accountsCome) await this.#pool.idle();
        this.#accountsCome = false;
        return this.#openMails(this.#accountAt(request.address), request.mails);
      case "mail":
        return this.#takeMail(request);
      case "done": {
        const { address } = request;
        const mailbox = this.#opened(address);
        this.#open.delete(address);
        return this.#pool.start(async () => {
          const mails = await this.#close(mailbox);
          await this.#answer({ kind: "done", address, mails });
        });
      }
      case "end":
        await this.#pool.idle();
        return this.#answer({ kind: "end" });
    }
  }

  #answer(answer: Answer): Promise<void> {
    return this.#options.write(lineOf(answer));
  }

  #accountAt(address: string): LocalAddress {
    const account = localAddress(this.#options.config, address);
    if (account?.domain === this.#domain && account.address === address) return account;
    throw new Error(`${JSON.stringify(address)} can't be an account of ${this.#domain}`);
  }

  #opened(address: string): Open {
    const mailbox = this.#open.get(address);
    if (!mailbox) throw new Error("mail of an account that was not asked for");
    return mailbox;
  }

  /** The password comes last: until then nobody can log in, nor make the account anew. */
  async #takeAccount({ home }: LocalAddress, files: readonly OwnFile[]): Promise<AccountState> {
    const given = files.map((file) => ({ ...file, bytes: Buffer.from(file.base64, "base64") }));
    for (const { path } of given) if (!ownKind(path)) throw new Error(`${JSON.stringify(path)} is not taken`);
    const notes = await readNotes(home);
    const existed = (await modifiedAt(join(home, "cur"))) !== undefined || (await exists(join(home, passwordName)));
    if (!this.#dryRun) for (const part of ["cur", "new", "tmp"]) await makeFolder(join(home, part));
    const digests: Record<string, string> = { ...notes.files };
    let changed = false;
    let kept = false;
    const order = (path: string) => Number(ownKind(path) === "password");
    for (const { path, bytes, modifiedMs } of given.sort((a, b) => order(a.path) - order(b.path))) {
      const kind = ownKind(path);
      const to = join(home, path);
      const seen = { given: digestOf(bytes), there: await digestAt(to), imported: notes.files[path] };
      if (kind === "tokens") {
        changed = (await this.#mergeTokens(to, bytes, modifiedMs)) || changed;
      } else if (kind === "password") {
        const decision = decidePassword(seen);
        kept = decision === "keep";
        if (decision === "keep") continue;
        changed = (await this.#takePassword(to, bytes, { modifiedMs, write: decision === "write" })) || changed;
        digests[path] = seen.given;
      } else if (kind === "flag" ? seen.there === undefined : decideFile(seen) === "write") {
        changed = true;
        digests[path] = seen.given;
        if (this.#dryRun) continue;
        if (path.includes("/")) await makeFolder(join(home, path.slice(0, path.indexOf("/"))));
        await replaceFile(to, bytes);
      }
    }
    if (!this.#dryRun && (changed || !existed)) await writeNotes(home, { ...notes, files: digests });
    if (kept) return "kept";
    return existed ? (changed ? "changed" : "same") : "new";
  }

  /** Its time is the day of the last login: the later one counts. */
  async #takePassword(
    path: string,
    bytes: Uint8Array,
    { modifiedMs, write }: { modifiedMs: number; write: boolean },
  ): Promise<boolean> {
    const before = await modifiedAt(path);
    const isLater = before === undefined || modifiedMs > before;
    if (!write && !isLater) return false;
    if (this.#dryRun) return true;
    if (write) await replaceFile(path, bytes);
    const at = Math.max(modifiedMs, before ?? modifiedMs) / 1000;
    await utimes(path, at, at);
    return true;
  }

  async #mergeTokens(path: string, bytes: Buffer, modifiedMs: number): Promise<boolean> {
    const nowSeconds = Math.floor(this.#options.now() / 1000);
    // an old form has no times: then that of the file counts
    const given = parseTokens(bytes.toString("utf8"), Math.min(nowSeconds, Math.floor(modifiedMs / 1000)));
    const here = parseTokens((await readIfThere(path)) ?? "{}", nowSeconds);
    if (!given || !here) return false;
    const merged = mergeTokens(here, given, nowSeconds);
    if (JSON.stringify(merged) === JSON.stringify(here)) return false;
    if (!this.#dryRun) await replaceFile(path, `{"devicetoken":${JSON.stringify(merged)}}\n`);
    return true;
  }

  async #openMails(account: LocalAddress, given: readonly string[]): Promise<void> {
    const { address, home } = account;
    for (const path of given) if (!mailAt(path)) throw new Error(`${JSON.stringify(path)} is no mail's path`);
    const notes = await readNotes(home);
    const { wanted, moves } = decideMails(given, await mailsIn(home), notes.mails);
    const paths = wanted.map((at) => given[at] as string);
    const folders = new Set<string>();
    if (!this.#dryRun)
      for (const { from, to } of moves) {
        await makeFolder(parentOf(join(home, to)));
        await ifThere(() => rename(join(home, from), join(home, to)));
        folders.add(parentOf(join(home, to)));
      }
    this.#open.set(address, {
      account,
      notes,
      given,
      wanted: new Set(paths),
      stored: new Set(),
      folders,
      writing: [],
    });
    await this.#answer({ kind: "mails", address, wanted, moved: moves.length });
  }

  async #takeMail({ address, path, bytes, modifiedMs }: Request & { kind: "mail" }): Promise<void> {
    const mailbox = this.#opened(address);
    if (!mailbox.wanted.has(path) || this.#dryRun) throw new Error("a mail that is not wanted");
    const { home } = mailbox.account;
    const to = join(home, path);
    const folder = parentOf(to);
    if (!mailbox.folders.has(folder)) {
      for (const part of ["cur", "new", "tmp"]) await makeFolder(join(parentOf(folder), part));
      mailbox.folders.add(folder);
    }
    const store = async (body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>) => {
      const temporary = join(parentOf(folder), "tmp", `import-${randomBytes(8).toString("hex")}`);
      try {
        await writeSynced(temporary, body, modifiedMs);
        await rename(temporary, to);
      } finally {
        await rm(temporary, { force: true });
      }
      mailbox.stored.add(path);
    };
    if (bytes > mostHeldBytes) return store(this.#requests.body(bytes));
    const held: Buffer[] = [];
    for await (const piece of this.#requests.body(bytes)) held.push(Buffer.from(piece));
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    promise.catch(() => undefined);
    mailbox.writing.push(promise);
    await this.#pool.start(() => {
      const storing = store(held);
      storing.then(resolve, reject);
      return storing;
    });
  }

  /** How many mails have come. */
  async #close({ account, notes, given, wanted, stored, folders, writing }: Open): Promise<number> {
    await Promise.all(writing);
    if (this.#dryRun) return 0;
    for (const folder of folders) await syncToDisk(folder);
    const mails = given.filter((path) => !wanted.has(path) || stored.has(path));
    const isAsNoted = mails.length === notes.mails.length && mails.every((path, at) => path === notes.mails[at]);
    if (!isAsNoted) await writeNotes(account.home, { ...notes, mails });
    return stored.size;
  }
}

const parentOf = (path: string) => path.slice(0, path.lastIndexOf("/"));

const makeFolder = (path: string) => mkdir(path, { recursive: true, mode: 0o700 });

const readNotes = async (home: string): Promise<Notes> => notesIn(await readIfThere(join(home, notesName)));
const writeNotes = (home: string, notes: Notes) => replaceFile(join(home, notesName), `${JSON.stringify(notes)}\n`);

async function digestAt(path: string): Promise<string | undefined> {
  const bytes = await ifThere(() => readFile(path));
  return bytes && digestOf(bytes);
}

const exists = async (path: string) => (await modifiedAt(path)) !== undefined;
const modifiedAt = async (path: string) => (await ifThere(() => stat(path)))?.mtimeMs;

/** Paths of all mails of an account, in the order of their names. */
async function mailsIn(home: string): Promise<string[]> {
  const inside = (await ifThere(() => readdir(home, { withFileTypes: true }))) ?? [];
  const folders = inside.filter((entry) => entry.isDirectory() && entry.name.startsWith(".")).map(({ name }) => name);
  const found: string[] = [];
  for (const folder of ["", ...folders])
    for (const part of ["cur", "new"]) {
      const at = folder === "" ? part : `${folder}/${part}`;
      for (const name of (await ifThere(() => readdir(join(home, at)))) ?? []) found.push(`${at}/${name}`);
    }
  return found;
}
