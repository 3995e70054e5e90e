/** Sends what the relay lacks: accounts first, then the mails that it asks for. */
import { messageOf } from "../../lib/text.ts";
import {
  type AccountState,
  type Answer,
  formatVersion,
  Incoming,
  lineOf,
  type Request,
  readAnswer,
} from "../../relay/import/frames.ts";
import { ImportProblem } from "./problem.ts";
import { accountNames, mailBytes, mailsOf, openMail, readAccount, type Tree } from "./tree.ts";

/** The program in the relay container. */
export interface Link {
  write: (bytes: Uint8Array) => Promise<void>;
  answers: AsyncIterable<Uint8Array>;
}

export interface Counts {
  accounts: Record<AccountState, number> & {
    total: number;
    /** Folders whose name is no address of the domain. */
    strange: number;
    /** Of the total: without a password, and with one that can't be checked here. */
    blocked: number;
    otherPassword: number;
    disabled: number;
  };
  mails: {
    total: number;
    /** That the relay lacks; of a run that is not dry, that were sent. */
    wanted: number;
    bytes: number;
    /** That have got other flags since they were imported. */
    flags: number;
  };
  /** Names of files in accounts' folders that nobody here knows, with how many there are. */
  left: Record<string, number>;
  /** Of the volume, before. */
  freeBytes: number;
}

export interface SendOptions {
  tree: Tree;
  link: Link;
  dryRun: boolean;
  progress: (text: string) => void;
}

/** The program in the relay container has ended before its time, or can't be reached any more. */
export class LinkLost extends Error {
  override readonly name = "LinkLost";
}

/** So many questions go ahead of their answers. */
const ahead = { accounts: 256, mails: 64 } as const;
const mostNames = 20;

export async function sendTree(options: SendOptions): Promise<Counts> {
  const sending = new Sending(options);
  return sending.run();
}

class Sending {
  readonly #options: SendOptions;
  readonly #answers: Incoming;
  /** Mails of the accounts that were asked for, by address. */
  readonly #asked = new Map<string, string[]>();
  readonly #counts: Counts = {
    accounts: { total: 0, new: 0, changed: 0, same: 0, kept: 0, strange: 0, blocked: 0, otherPassword: 0, disabled: 0 },
    mails: { total: 0, wanted: 0, bytes: 0, flags: 0 },
    left: {},
    freeBytes: 0,
  };

  constructor(options: SendOptions) {
    this.#options = options;
    this.#answers = new Incoming(options.link.answers);
  }

  async run(): Promise<Counts> {
    const { tree, dryRun, progress } = this.#options;
    await this.#send({ kind: "begin", format: formatVersion, domain: tree.domain, dryRun });
    this.#counts.freeBytes = (await this.#answer("ready")).freeBytes;
    const { accounts, strange } = await accountNames(tree);
    this.#counts.accounts.strange = strange.length;
    const taken: string[] = [];
    await this.#each(accounts, ahead.accounts, {
      ask: async (address) => {
        const isOne = await this.#sendAccount(address);
        if (isOne) taken.push(address);
        return isOne;
      },
      answered: async () => {
        const { state } = await this.#answer("account");
        this.#counts.accounts[state]++;
      },
    });
    const before = dryRun ? "compared" : "copied";
    await this.#each(taken, ahead.mails, {
      ask: (address) => this.#askForMails(address),
      answered: () => this.#answered(),
      each: (done) => progress(`mail of ${percent(done, taken.length)} of the accounts is ${before}`),
    });
    await this.#send({ kind: "end" });
    await this.#answer("end");
    return this.#counts;
  }

  /** Some questions ahead. `ask`: false where there is nothing to be answered. */
  async #each(
    addresses: readonly string[],
    most: number,
    step: { ask(address: string): Promise<boolean>; answered(): Promise<void>; each?(done: number): void },
  ): Promise<void> {
    let waiting = 0;
    let done = 0;
    const take = async () => {
      await step.answered();
      waiting--;
      step.each?.(++done);
    };
    for (const address of addresses) {
      if (!(await step.ask(address))) step.each?.(++done);
      else if (++waiting >= most) await take();
    }
    while (waiting > 0) await take();
  }

  /** False where there is nothing of an account: its creation was interrupted. */
  async #sendAccount(address: string): Promise<boolean> {
    const { tree } = this.#options;
    const { accounts, left } = this.#counts;
    const seen = await readAccount(tree, address);
    for (const name of seen.left)
      if (Object.hasOwn(left, name) || Object.keys(left).length < mostNames) left[name] = (left[name] ?? 0) + 1;
    const password =
      seen.files
        .find(({ path }) => path === "password")
        ?.bytes.toString("utf8")
        .trim() ?? "";
    if (password === "" && (await mailsOf(tree, address)).length === 0) return false;
    accounts.total++;
    if (password === "") accounts.blocked++;
    else if (!/^\{SHA512-CRYPT\}\$6\$/.test(password)) accounts.otherPassword++;
    if (seen.files.some(({ path }) => path === "DISABLED")) accounts.disabled++;
    const files = seen.files.map(({ path, bytes, modifiedMs }) => ({
      path,
      base64: bytes.toString("base64"),
      modifiedMs,
    }));
    await this.#send({ kind: "account", address, files });
    return true;
  }

  async #askForMails(address: string): Promise<boolean> {
    const mails = await mailsOf(this.#options.tree, address);
    this.#counts.mails.total += mails.length;
    this.#asked.set(address, mails);
    await this.#send({ kind: "mails", address, mails });
    return true;
  }

  /** Of what was asked for an account: which mails are wanted; then whether they are stored. */
  async #answered(): Promise<void> {
    for (;;) {
      const answer = await this.#next();
      if (answer.kind === "done") return;
      if (answer.kind !== "mails") throw unexpected(answer);
      const { address, wanted, moved } = answer;
      this.#counts.mails.flags += moved;
      const mails = this.#asked.get(address) ?? [];
      this.#asked.delete(address);
      for (const at of wanted) await this.#sendMail(address, mails[at] ?? "");
      await this.#send({ kind: "done", address });
    }
  }

  async #sendMail(address: string, path: string): Promise<void> {
    const { tree, dryRun } = this.#options;
    const counts = this.#counts.mails;
    if (dryRun) {
      counts.wanted++;
      counts.bytes += await mailBytes(tree, address, path);
      return;
    }
    const mail = await openMail(tree, address, path);
    if (!mail) return;
    const { file, bytes, modifiedMs } = mail;
    try {
      await this.#send({ kind: "mail", address, path, bytes, modifiedMs });
      let left = bytes;
      const buffer = Buffer.allocUnsafe(Math.min(left, 256 * 1024));
      while (left > 0) {
        const { bytesRead } = await file.read(buffer, 0, Math.min(left, buffer.length));
        if (bytesRead === 0)
          throw new ImportProblem(`a mail of ${tree.mailboxes} became shorter while it was read: run this again`);
        left -= bytesRead;
        // a copy: the network may take it later
        await this.#write(Buffer.from(buffer.subarray(0, bytesRead)));
      }
      counts.wanted++;
      counts.bytes += bytes;
    } finally {
      await file.close();
    }
  }

  #send(request: Request): Promise<void> {
    return this.#write(lineOf(request));
  }

  async #write(bytes: Uint8Array): Promise<void> {
    try {
      await this.#options.link.write(bytes);
    } catch (cause) {
      throw new LinkLost(messageOf(cause), { cause });
    }
  }

  async #next(): Promise<Answer> {
    const answer = await readAnswer(this.#answers);
    if (!answer) throw new LinkLost("the relay's side of the import ended before its time");
    return answer;
  }

  async #answer<Kind extends Answer["kind"]>(kind: Kind): Promise<Answer & { kind: Kind }> {
    const answer = await this.#next();
    if (answer.kind !== kind) throw unexpected(answer);
    return answer as Answer & { kind: Kind };
  }
}

const unexpected = ({ kind }: Answer) => new ImportProblem(`the relay's side of the import says ${kind}`);

const percent = (part: number, of: number) => `${of === 0 ? 100 : Math.floor((100 * part) / of)} %`;
