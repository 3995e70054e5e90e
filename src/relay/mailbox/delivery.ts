/**
 * Delivers mail to accounts of this relay as soon as it was accepted, without Postfix's queue: one
 * copy on the disk instead of two, and no processes for the second (decision 0061). Mailboxes that
 * are there and far below their quota are written to; the others are left to Dovecot's LMTP.
 * Whatever does not work there either, whatever the reason, is left to Postfix, which queues it as
 * all other mail.
 */
import { within } from "../../lib/within.ts";
import { accountExists } from "../accounts/store.ts";
import { type Domains, type LocalAddress, localAddress, localRecipient } from "../domains.ts";
import type { Metrics } from "../metrics.ts";
import { Connections, type Patience } from "./connections.ts";
import { Content } from "./content.ts";
import type { Maildirs } from "./maildir.ts";
import type { Room } from "./room.ts";
import { Turns } from "./turns.ts";

export interface MailboxDeliveryOptions {
  config: Domains;
  metrics: Metrics;
  /** Dovecot's LMTP. */
  lmtpPath: string;
  maildirs: Pick<Maildirs, "write">;
  /** Whether so many bytes are surely within the quota of an account; then they are taken off. */
  room: Pick<Room, "take">;
  /** Of what did not pass Dovecot, which reports by itself. */
  onDelivered: (address: string, author: string) => void;
  patience?: Patience;
}

/** More of them, and the sender would wait: Dovecot writes one copy after the other. */
const mostRecipients = 20;
/** Larger mail is rare, and its second copy is not what it costs. */
const mostBytes = 1 << 20;
/** Of all messages that are held at the same time. */
const mostHeldBytes = 16 << 20;

/** As many as Postfix delivers at the same time to mailboxes. */
const connections = { most: 20, waitMs: 2_000, lifeMs: 5_000 };
/** A mailbox that is locked has its mail queued, and its sender an answer. */
const builtInPatience: Patience = { commandMs: 5_000, contentMs: 30_000, pauseMs: 30_000 };

/**
 * A parameter of RCPT (RFC 3461 §4.1): the sender wants to be told of the delivery. Postfix does
 * that for what it delivers itself.
 */
export const wantsReport = (parameter: string) => /^NOTIFY=.*SUCCESS/i.test(parameter);

/** An address in a command. */
const isPlain = (address: string) => /^[!-;=?-~]*$/.test(address);

export interface Origin {
  /** Of the envelope. */
  sender: string;
  /** As the From header says. */
  author: string;
}

/** A message on its way, as the filters hold it. Calls come in this order; `end` is the last. */
export interface HeldMessage {
  header(name: string, value: string): void;
  body(chunk: Buffer): void;
  /** Which of these recipients have it, on the disk. */
  deliver(from: Origin, recipients: readonly string[]): Promise<ReadonlySet<string>>;
  end(): void;
}

export class MailboxDelivery {
  readonly #options: MailboxDeliveryOptions;
  readonly #lmtp: Connections;
  readonly #turns = new Turns();
  readonly #patience: Patience;
  /** By `performance.now()`. */
  #writesAgainAt = 0;
  #closed = false;
  #heldBytes = 0;

  constructor(options: MailboxDeliveryOptions) {
    this.#options = options;
    this.#patience = options.patience ?? builtInPatience;
    this.#lmtp = new Connections({ path: options.lmtpPath, patience: this.#patience, ...connections });
  }

  /** Undefined where one of the recipients has no account here, or they are too many. */
  hold(recipients: readonly string[]): HeldMessage | undefined {
    const { config } = this.#options;
    if (recipients.length === 0 || recipients.length > mostRecipients) return undefined;
    const isAccount = (recipient: string) => {
      const account = localRecipient(config, recipient);
      return account !== undefined && accountExists(account);
    };
    if (!recipients.every(isAccount)) return undefined;
    let content: Content | undefined = new Content();
    let heldBytes = 0;
    const end = () => {
      this.#heldBytes -= heldBytes;
      heldBytes = 0;
      content = undefined;
    };
    const keep = (add: (to: Content) => void) => {
      if (!content) return;
      const before = content.bytes;
      add(content);
      heldBytes += content.bytes - before;
      this.#heldBytes += content.bytes - before;
      if (content.bytes > mostBytes || this.#heldBytes > mostHeldBytes) end();
    };
    return {
      header: (name, value) => keep((to) => to.header(name, value)),
      body: (chunk) => keep((to) => to.body(chunk)),
      deliver: async (from, to) =>
        content && isPlain(from.sender) && !this.#closed ? this.#deliver(from, to, content) : new Set(),
      end,
    };
  }

  close(): void {
    this.#closed = true;
    this.#lmtp.close();
  }

  async #deliver(from: Origin, to: readonly string[], content: Content): Promise<ReadonlySet<string>> {
    const { config, metrics } = this.#options;
    const byAccount = Map.groupBy(to, (recipient) => localRecipient(config, recipient)?.address ?? "");
    const accounts = [...byAccount.keys()].flatMap((address) => localAddress(config, address) ?? []);
    const free = await this.#turns.take(
      accounts.map(({ address }) => address),
      connections.waitMs,
    );
    let taken: readonly string[] = [];
    try {
      if (free) taken = await this.#deliverNow(from, accounts, content);
    } finally {
      free?.();
    }
    metrics.count("direct_deliveries_total", { outcome: "delivered" }, taken.length);
    metrics.count("direct_deliveries_total", { outcome: "queued" }, byAccount.size - taken.length);
    return new Set(taken.flatMap((address) => byAccount.get(address) ?? []));
  }

  async #deliverNow(from: Origin, accounts: readonly LocalAddress[], content: Content): Promise<string[]> {
    const { sender } = from;
    const written = await Promise.all(accounts.map((account) => this.#write(from, account, content)));
    const recipients = accounts.map(({ address }) => address);
    const [have, left] = [recipients.filter((_, at) => written[at]), recipients.filter((_, at) => !written[at])];
    if (left.length === 0) return have;
    return [...have, ...(await this.#lmtp.deliver({ sender, recipients: left, content: content.stuffed() }))];
  }

  /** False where it is left to Dovecot. */
  async #write({ sender, author }: Origin, account: LocalAddress, content: Content): Promise<boolean> {
    const { room, maildirs, onDelivered } = this.#options;
    if (performance.now() < this.#writesAgainAt || !(await room.take(account, content.bytes))) return false;
    // the headers that Dovecot's LMTP adds
    const first = [`Return-Path: <${sender}>`, `Delivered-To: ${account.address}`];
    const written = maildirs.write(account.home, content.stored(first));
    const isThere = await within(written, this.#patience.contentMs, undefined);
    // the disk stands still: the others do not wait as long
    if (isThere === undefined) this.#writesAgainAt = performance.now() + this.#patience.pauseMs;
    if (isThere) onDelivered(account.address, author);
    return isThere ?? false;
  }
}
