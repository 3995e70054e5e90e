/**
 * Delivers mail to accounts of this relay as soon as it was accepted, without Postfix's queue: one
 * copy on the disk instead of two, and no processes for the second (decision 0061). Whatever does
 * not work here, whatever the reason, is left to Postfix, which queues it as all other mail.
 */
import { accountExists } from "../accounts/store.ts";
import { type Domains, localAddress, localRecipient } from "../domains.ts";
import type { Metrics } from "../metrics.ts";
import { Connections, type Patience } from "./connections.ts";
import { Content } from "./content.ts";
import type { Room } from "./room.ts";
import { Turns } from "./turns.ts";

export interface MailboxDeliveryOptions {
  config: Domains;
  metrics: Metrics;
  /** Dovecot's LMTP, and the same where quota is not looked at. */
  paths: { checked: string; unchecked: string };
  /** Whether so many bytes are surely within the quota of an account; then they are taken off. */
  room: Pick<Room, "take">;
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

/** A message on its way, as the filters hold it. Calls come in this order; `end` is the last. */
export interface HeldMessage {
  header(name: string, value: string): void;
  body(chunk: Buffer): void;
  /** Which of these recipients have it, on the disk. */
  deliver(sender: string, recipients: readonly string[]): Promise<ReadonlySet<string>>;
  end(): void;
}

export class MailboxDelivery {
  readonly #options: MailboxDeliveryOptions;
  readonly #checked: Connections;
  readonly #unchecked: Connections;
  readonly #turns = new Turns();
  #heldBytes = 0;

  constructor(options: MailboxDeliveryOptions) {
    this.#options = options;
    const { paths, patience = builtInPatience } = options;
    this.#checked = new Connections({ path: paths.checked, patience, ...connections });
    this.#unchecked = new Connections({ path: paths.unchecked, patience, ...connections });
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
      deliver: async (sender, to) => (content && isPlain(sender) ? this.#deliver(sender, to, content) : new Set()),
      end,
    };
  }

  close(): void {
    this.#checked.close();
    this.#unchecked.close();
  }

  async #deliver(sender: string, to: readonly string[], content: Content): Promise<ReadonlySet<string>> {
    const { config, metrics, room } = this.#options;
    const byAccount = Map.groupBy(to, (recipient) => localRecipient(config, recipient)?.address ?? "");
    const accounts = [...byAccount.keys()].flatMap((address) => localAddress(config, address) ?? []);
    const recipients = accounts.map(({ address }) => address);
    const free = await this.#turns.take(recipients, connections.waitMs);
    let taken: readonly string[] = [];
    try {
      if (free) {
        const fits = accounts.map((account) => room.take(account, content.bytes)).every(Boolean);
        const way = fits ? this.#unchecked : this.#checked;
        taken = await way.deliver({ sender, recipients, content: content.stuffed() });
      }
    } finally {
      free?.();
    }
    metrics.count("direct_deliveries_total", { outcome: "delivered" }, taken.length);
    metrics.count("direct_deliveries_total", { outcome: "queued" }, byAccount.size - taken.length);
    return new Set(taken.flatMap((address) => byAccount.get(address) ?? []));
  }
}
