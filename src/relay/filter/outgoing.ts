/** The filter for mail that our own users submit (chatmail protocol §2, §9). */
import type { Logger } from "pino";
import { HeadersTooLarge, type SignatureHeader } from "../../dkim/sign.ts";
import type { DomainLimits } from "../../pod/relay-config.ts";
import { isDisabled } from "../accounts/flags.ts";
import { type Domains, localAddress, localRecipient, ourDomainOf, plainRecipient } from "../domains.ts";
import * as events from "../events.ts";
import { type HeldMessage, type MailboxDelivery, wantsReport } from "../mailbox/delivery.ts";
import type { DomainMetrics, Metrics } from "../metrics.ts";
import type { ProbeAccounts, ProbeSender } from "../probe/accounts.ts";
import type { Rate, RateLimiter } from "../rate.ts";
import type { Modification } from "../wire/milter.ts";
import type { Judgement, MessageFilter, Origin } from "../wire/milter-server.ts";
import { MessageInspector } from "./inspect.ts";
import type { OwnKeys, OwnSigning } from "./own-keys.ts";
import { badRecipient, judgeOutgoing, looksLikeSetupMessage, type Verdict } from "./policy.ts";
import { bytesKey } from "./sender-rates.ts";
import { Size, tooLarge } from "./size.ts";

export interface FilterTools {
  config: Domains;
  metrics: Metrics;
  log: Logger;
}

export interface OrderTools {
  /** Asked before a mail is accepted: `turn` resolves when it may be. */
  order: { turn(mail: { sender: string; recipients: readonly string[] }): Promise<void> };
}

export interface MailboxTools {
  /** Without it, all mail goes through Postfix's queue. */
  mailboxes?: Pick<MailboxDelivery, "hold">;
}

/** Who may send now. */
export type Turns = Pick<RateLimiter, "take" | "next">;

export interface OutgoingTools extends FilterTools {
  keys: OwnKeys;
  /** Without it the relay sends nothing to itself. */
  probes?: Pick<ProbeAccounts, "sending"> | undefined;
}

/**
 * Headers that say something of the sender's device, and those for text that people read (decision
 * 0015). The Received header of this hop is not shown to milters; Postfix drops it.
 */
const removedHeaders = ["x-originating-ip", "x-mailer", "user-agent", "comments", "keywords"];
const replacedSubject = " [...]";
/**
 * Each is a packet of the answer; a real mail has three. A mail of 30 MiB has room for millions.
 */
const mostChanges = 1000;
const headersTooLarge = "552 5.3.4 Message headers are too large";

const bytesRate = ({ sendBytesPerMinute: perMinute, sendBytesBurst: burst }: DomainLimits): Rate => ({
  perMinute,
  burst,
});

export class OutgoingFilter implements MessageFilter {
  readonly #tools: OutgoingTools & OrderTools & MailboxTools;
  readonly #rates: Turns;
  readonly #sender: string;
  /** Where the sender is the relay's own probe: it writes to one address, and is not counted. */
  readonly #probe: ProbeSender | undefined;
  /** As Postfix spelt them, by the spelling that is compared. */
  readonly #recipients = new Map<string, string[]>();
  readonly #size: Size;
  readonly #inspector = new MessageInspector();
  readonly #changes: Modification[] = [];
  readonly #seen = new Map<string, number>();
  #bytes: { key: string; rate: Rate } | undefined;
  #bodyBytes = 0;
  #maySend: { refusal: string | undefined } | undefined;
  /** Undefined where the sender's domain does not sign. */
  #signing: OwnSigning | undefined;
  /** Where all recipients have accounts here. */
  #held: HeldMessage | undefined;
  #mayHold = true;

  constructor(
    { sender, size }: Pick<Origin, "sender" | "size">,
    rates: Turns,
    tools: OutgoingTools & OrderTools & MailboxTools,
  ) {
    this.#sender = sender.toLowerCase();
    this.#size = new Size(size);
    this.#rates = rates;
    this.#tools = tools;
    this.#probe = tools.probes?.sending(this.#sender);
  }

  /**
   * FailureHandlers with the sender is told here and not at MAIL, as on other chatmail relays; by
   * now Postfix has seen that the sender is who logged in, so nobody uses up somebody else's turns.
   * A transaction takes one, whatever the number of recipients.
   */
  async recipient(address: string, parameters: readonly string[] = []): Promise<string | undefined> {
    if (parameters.some(wantsReport)) this.#mayHold = false;
    this.#maySend ??= { refusal: this.#senderRefusal() };
    if (this.#maySend.refusal !== undefined) return this.#maySend.refusal;
    const key = this.#recipientKey(address);
    if (key === undefined) return badRecipient;
    const account = localRecipient(this.#tools.config, key);
    if (account && !this.#size.fits(account.limits)) return tooLarge;
    const spellings = this.#recipients.get(key);
    if (spellings) spellings.push(address);
    else this.#recipients.set(key, [address]);
    return undefined;
  }

  #recipientKey(address: string): string | undefined {
    if (!this.#probe) return plainRecipient(this.#tools.config, address);
    return address.toLowerCase() === this.#probe.recipient ? this.#probe.recipient : undefined;
  }

  #senderRefusal(): string | undefined {
    const account = this.#probe?.account ?? localAddress(this.#tools.config, this.#sender);
    if (!account) return `500 Invalid from address <${this.#sender}>`;
    if (!this.#size.fits(account.limits)) return tooLarge;
    // throws without a key: the peer is told to try again, and nothing goes out unsigned
    this.#signing = this.#tools.keys.begin(account.domain, !this.#probe);
    if (this.#probe) return undefined;
    const { sendRatePerMinute: perMinute, sendBurst: burst, maxMessageBytes } = account.limits;
    // how large the mail will be is not known yet: there has to be room for the largest
    this.#bytes = { key: bytesKey(account.address), rate: bytesRate(account.limits) };
    const until =
      this.#rates.next(this.#bytes.key, this.#bytes.rate, maxMessageBytes) ??
      this.#rates.take(account.address, { perMinute, burst });
    return until && this.#tooMuch(until);
  }

  #tooMuch(until: Date): string {
    this.#metrics.count("rate_limited_total");
    return `450 4.7.1: Too much mail from <${this.#sender}>, rate limited until ${until.toISOString()}`;
  }

  header(name: string, value: string): void {
    if (this.#mayHold && !this.#probe) this.#held = this.#tools.mailboxes?.hold([...this.#recipients.keys()]);
    this.#mayHold = false;
    this.#size.header(name, value);
    this.#inspector.header(name, value);
    const key = name.trim().toLowerCase();
    const isSubject = key === "subject";
    const isRemoved = removedHeaders.includes(key);
    const left = isSubject ? replacedSubject : value;
    if (!isRemoved) this.#signing?.header(name, left);
    if (!isRemoved) this.#held?.header(name, left);
    if ((!isSubject && !isRemoved) || this.#changes.length > mostChanges) return;
    const index = (this.#seen.get(key) ?? 0) + 1;
    this.#seen.set(key, index);
    this.#changes.push({ kind: "changeHeader", name, index, value: isSubject ? replacedSubject : undefined });
  }

  endOfHeaders(): void {
    this.#inspector.endOfHeaders();
  }

  /** All of what may pass is signed. */
  body(chunk: Buffer): void {
    this.#bodyBytes += chunk.length;
    this.#size.body(chunk);
    this.#inspector.body(chunk);
    if (!this.#inspector.hopeful && !looksLikeSetupMessage(this.#inspector)) return;
    this.#signing?.body(chunk);
    this.#held?.body(chunk);
  }

  ended(): void {
    this.#held?.end();
  }

  async endOfMessage(): Promise<Judgement> {
    if (this.#size.isTooLarge()) return { reply: { kind: "reply", text: tooLarge }, modifications: [] };
    const facts = this.#inspector.finish();
    const { config } = this.#tools;
    const left: string[] = [];
    const dropped: string[] = [];
    for (const key of this.#recipients.keys()) (isDisabled(config, key) ? dropped : left).push(key);
    const verdict = judgeOutgoing(facts, {
      sender: this.#sender,
      recipients: left,
      senderIsDisabled: isDisabled(config, this.#sender),
    });
    // what is delivered at once needs no signature: delivery takes it away
    let signatures = verdict.kind === "pass" && !this.#held ? await this.#sign() : [];
    const tooMany = verdict.kind === "pass" && this.#changes.length > mostChanges;
    if (!signatures || tooMany) return { reply: { kind: "reply", text: headersTooLarge }, modifications: [] };
    this.#count(verdict);
    if (verdict.kind === "refuse") return { reply: { kind: "reply", text: verdict.text }, modifications: [] };
    if (verdict.kind === "discard") return { reply: { kind: "discard" }, modifications: [] };
    // only mail that is stored counts; several at once may have passed RCPT together
    const until = this.#bytes && this.#rates.take(this.#bytes.key, this.#bytes.rate, this.#bodyBytes);
    if (until) return { reply: { kind: "reply", text: this.#tooMuch(until) }, modifications: [] };
    if (!this.#probe) await this.#tools.order.turn({ sender: this.#sender, recipients: left });
    if (this.#held && !facts.bareNewline) {
      const delivered = await this.#held.deliver({ sender: this.#sender, author: facts.from ?? "" }, left);
      if (left.every((key) => delivered.has(key))) return { reply: { kind: "discard" }, modifications: [] };
      dropped.push(...delivered);
      signatures = (await this.#sign()) ?? [];
    }
    const recipients = dropped.flatMap((key) => this.#recipients.get(key) ?? []);
    return {
      reply: { kind: "accept" },
      modifications: [
        ...recipients.map((recipient): Modification => ({ kind: "deleteRecipient", recipient: `<${recipient}>` })),
        // from the last to the first: a header that goes changes the numbers of those behind it
        ...this.#changes.toReversed(),
        // each goes above the one before
        ...signatures.toReversed().map((each): Modification => ({ kind: "insertHeader", ...each })),
        // a probe that can't be delivered leaves no bounce
        ...(this.#probe ? [{ kind: "changeFrom", sender: "<>" } as const] : []),
      ],
    };
  }

  /** Undefined where the headers are more than a signature can cover. */
  async #sign(): Promise<SignatureHeader[] | undefined> {
    try {
      return (await this.#signing?.end()) ?? [];
    } catch (thrown) {
      if (thrown instanceof HeadersTooLarge) return undefined;
      throw thrown;
    }
  }

  get #metrics(): DomainMetrics {
    return this.#tools.metrics.of(ourDomainOf(this.#tools.config, this.#sender));
  }

  #count(verdict: Verdict): void {
    const { log } = this.#tools;
    events.verdict(log, "outgoing", verdict.kind === "pass" ? verdict.as : verdict.why);
    if (this.#probe) return;
    const metrics = this.#metrics;
    metrics.count("filtered_outgoing_mail_count");
    if (verdict.kind === "pass") metrics.count("outgoing_encrypted_mail_count");
    if (verdict.kind === "discard") metrics.count("filtermail_outbound_drop_total", { reason: verdict.why });
    if (verdict.kind === "refuse" && verdict.why === "unencrypted") {
      metrics.count("outgoing_unencrypted_mail_count");
      metrics.count("rejected_unencrypted_mail_count");
      metrics.count("filtermail_outbound_drop_total", { reason: "unencrypted" });
    }
  }
}
