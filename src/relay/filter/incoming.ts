/**
 * The filter for mail from other servers (chatmail protocol §3): encrypted, or allowed in the
 * clear, and signed by the domain of its author.
 */
import type { Verifier, Verifying } from "../../dkim/verify.ts";
import { isDisabled, takesOnlyEncrypted } from "../accounts/flags.ts";
import { isOurs, localRecipient, ourDomainOf, plainRecipient } from "../domains.ts";
import * as events from "../events.ts";
import { type HeldMessage, wantsReport } from "../mailbox/delivery.ts";
import type { DomainMetrics } from "../metrics.ts";
import type { Modification } from "../wire/milter.ts";
import type { Judgement, MessageFilter, Origin } from "../wire/milter-server.ts";
import { MessageInspector } from "./inspect.ts";
import { isLiteralOf, judgeOrigin, resultOf } from "./origin.ts";
import type { FilterTools, MailboxTools, OrderTools } from "./outgoing.ts";
import { badRecipient, judgeIncoming, senderBecomesNull, type Verdict } from "./policy.ts";
import { Size, tooLarge } from "./size.ts";

export interface IncomingTools extends FilterTools, OrderTools, MailboxTools {
  verifier: Verifier;
}

export class IncomingFilter implements MessageFilter {
  readonly #tools: IncomingTools;
  readonly #sender: string;
  readonly #client: string | undefined;
  /** In the spelling of decisions, and as Postfix spelt them. */
  readonly #recipients: { plain: string; spelt: string }[] = [];
  readonly #size: Size;
  readonly #inspector = new MessageInspector();
  readonly #verifying: Verifying;
  /** The domain that has to have signed; undefined where nothing has to be. */
  #origin: string | undefined;
  #left: string[] = [];
  #dropped: string[] = [];
  #isSurelyRefused = false;
  /** Where all recipients have accounts here. */
  #held: HeldMessage | undefined;
  #mayHold = true;

  constructor({ sender, size, client }: Origin, tools: IncomingTools) {
    this.#size = new Size(size);
    this.#sender = sender.toLowerCase();
    this.#client = client;
    this.#tools = tools;
    this.#verifying = tools.verifier.begin();
  }

  async recipient(address: string, parameters: readonly string[] = []): Promise<string | undefined> {
    if (parameters.some(wantsReport)) this.#mayHold = false;
    const plain = plainRecipient(this.#tools.config, address);
    if (plain === undefined) return badRecipient;
    const account = localRecipient(this.#tools.config, plain);
    if (account && !this.#size.fits(account.limits)) return tooLarge;
    this.#recipients.push({ plain, spelt: address });
    return undefined;
  }

  header(name: string, value: string): void {
    if (this.#mayHold) this.#held = this.#tools.mailboxes?.hold(this.#recipients.map(({ plain }) => plain));
    this.#mayHold = false;
    this.#held?.header(name, value);
    this.#size.header(name, value);
    this.#inspector.header(name, value);
    this.#verifying.header(name, value);
  }

  endOfHeaders(): void {
    const { config } = this.#tools;
    for (const { plain, spelt } of this.#recipients) {
      if (isDisabled(config, plain)) this.#dropped.push(spelt);
      else this.#left.push(plain);
    }
    this.#inspector.endOfHeaders();
    this.#isSurelyRefused = !this.#inspector.hopeful && this.#oneMustBeEncrypted();
    const { from } = this.#inspector;
    const domain = from?.slice(from.lastIndexOf("@") + 1);
    if (this.#isSurelyRefused || from === undefined || domain === undefined) return;
    // nobody else writes in our users' names: what they write does not come from outside, or it has
    // our signature
    if (isLiteralOf(domain, this.#client) && !isOurs(config, from)) return;
    this.#origin = domain;
    this.#verifying.endOfHeaders(domain);
  }

  /** But for a sure refusal the whole body is read: its line ends are judged too. */
  body(chunk: Buffer): void {
    this.#size.body(chunk);
    if (this.#isSurelyRefused) return;
    this.#inspector.body(chunk);
    this.#held?.body(chunk);
    if (this.#origin !== undefined) this.#verifying.body(chunk);
  }

  ended(): void {
    this.#held?.end();
  }

  async endOfMessage(): Promise<Judgement> {
    if (this.#size.isTooLarge()) return { reply: { kind: "reply", text: tooLarge }, modifications: [] };
    const facts = this.#inspector.finish();
    const passesEverywhere = facts.encrypted !== "no" || facts.secureJoinRequest;
    const asContent = judgeIncoming(facts, {
      recipientsLeft: this.#left.length,
      oneMustBeEncrypted: !passesEverywhere && this.#oneMustBeEncrypted(),
      isFromNobody: this.#sender === "",
    });
    const verdict = asContent.kind === "refuse" ? asContent : ((await this.#originProblem()) ?? asContent);
    this.#count(verdict);
    if (verdict.kind === "refuse") return { reply: { kind: "reply", text: verdict.text }, modifications: [] };
    if (verdict.kind === "discard") return { reply: { kind: "discard" }, modifications: [] };
    if (this.#sender !== "") await this.#tools.order.turn({ sender: facts.from ?? "", recipients: this.#left });
    const becomesNull = senderBecomesNull(facts, this.#sender);
    const from = { sender: becomesNull ? "" : this.#sender, author: facts.from ?? "" };
    const delivered = await this.#held?.deliver(from, this.#left);
    if (delivered && this.#left.every((each) => delivered.has(each)))
      return { reply: { kind: "discard" }, modifications: [] };
    const have = this.#recipients.filter(({ plain }) => delivered?.has(plain)).map(({ spelt }) => spelt);
    const modifications = [...this.#dropped, ...have].map(
      (each): Modification => ({ kind: "deleteRecipient", recipient: `<${each}>` }),
    );
    if (becomesNull) modifications.push({ kind: "changeFrom", sender: "<>" });
    return { reply: { kind: "accept" }, modifications };
  }

  async #originProblem(): Promise<Verdict | undefined> {
    if (this.#origin === undefined) return undefined;
    const origin = judgeOrigin(this.#origin, await this.#verifying.end());
    this.#metrics.count("chatmail_dkim_verified_total", { result: resultOf(origin) });
    if (origin.kind === "pass") return undefined;
    events.originRefused(this.#tools.log, origin.text, origin.why);
    return { kind: "refuse", why: "origin", text: origin.text };
  }

  #oneMustBeEncrypted(): boolean {
    return this.#left.some((address) => takesOnlyEncrypted(this.#tools.config, address));
  }

  get #metrics(): DomainMetrics {
    const { config, metrics } = this.#tools;
    return metrics.of(...this.#recipients.map(({ plain }) => ourDomainOf(config, plain)));
  }

  #count(verdict: Verdict): void {
    const { log } = this.#tools;
    const metrics = this.#metrics;
    metrics.count("filtered_incoming_mail_count");
    if (verdict.kind === "discard") metrics.count("filtermail_inbound_drop_total", { reason: verdict.why });
    if (verdict.kind === "refuse" && verdict.why === "unencrypted") {
      metrics.count("incoming_unencrypted_mail_count");
      metrics.count("rejected_unencrypted_mail_count");
      metrics.count("filtermail_inbound_drop_total", { reason: "unencrypted" });
    }
    if (verdict.kind === "refuse" && verdict.why === "origin") {
      metrics.count("filtermail_inbound_drop_total", { reason: "dkim" });
    }
    if (verdict.kind === "pass") {
      if (verdict.as === "mailerDaemon") metrics.count("incoming_mailer_daemon_mail_count");
      else if (verdict.as === "cleartext") metrics.count("incoming_unencrypted_mail_count");
      else metrics.count("incoming_encrypted_mail_count");
    }
    events.verdict(log, "incoming", verdict.kind === "pass" ? verdict.as : verdict.why);
  }
}
