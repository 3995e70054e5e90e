/** The filter for mail from other servers (reference §6.3). Where the mail came from is not verified here: DKIM is not part of this version. */

import * as events from "../events.ts";
import type { Modification } from "../milter/protocol.ts";
import type { Judgement, MessageFilter } from "../milter/server.ts";
import { isDisabled, takesOnlyEncrypted } from "./flags.ts";
import { MessageInspector } from "./inspect.ts";
import type { FilterTools } from "./outgoing.ts";
import { judgeIncoming, senderBecomesNull, type Verdict } from "./policy.ts";

export class IncomingFilter implements MessageFilter {
  readonly #tools: FilterTools;
  readonly #sender: string;
  readonly #recipients: string[] = [];
  readonly #inspector = new MessageInspector();

  constructor(sender: string, tools: FilterTools) {
    this.#sender = sender.toLowerCase();
    this.#tools = tools;
  }

  async recipient(address: string): Promise<undefined> {
    this.#recipients.push(address);
  }

  header(name: string, value: string): void {
    this.#inspector.header(name, value);
  }

  async endOfHeaders(): Promise<void> {
    this.#inspector.endOfHeaders();
  }

  /** The whole body is wanted: its line ends are judged too. */
  body(chunk: Buffer): boolean {
    this.#inspector.body(chunk);
    return false;
  }

  async endOfMessage(): Promise<Judgement> {
    const { config } = this.#tools;
    const facts = this.#inspector.finish();
    const left: string[] = [];
    const dropped: string[] = [];
    for (const address of this.#recipients) ((await isDisabled(config, address)) ? dropped : left).push(address);
    const verdict = judgeIncoming(facts, {
      recipientsLeft: left.length,
      oneMustBeEncrypted: await this.#oneMustBeEncrypted(left),
    });
    this.#count(verdict);
    if (verdict.kind === "refuse") return { reply: { kind: "reply", text: verdict.text }, modifications: [] };
    if (verdict.kind === "discard") return { reply: { kind: "discard" }, modifications: [] };
    const modifications = dropped.map((each): Modification => ({ kind: "deleteRecipient", recipient: `<${each}>` }));
    if (senderBecomesNull(facts, this.#sender)) modifications.push({ kind: "changeFrom", sender: "<>" });
    return { reply: { kind: "accept" }, modifications };
  }

  async #oneMustBeEncrypted(recipients: readonly string[]): Promise<boolean> {
    for (const address of recipients) if (await takesOnlyEncrypted(this.#tools.config, address)) return true;
    return false;
  }

  #count(verdict: Verdict): void {
    const { metrics, log } = this.#tools;
    metrics.count("filtered_incoming_mail_count");
    if (verdict.kind === "discard") metrics.count("filtermail_inbound_drop_total", { reason: verdict.why });
    if (verdict.kind === "refuse" && verdict.why === "unencrypted") {
      metrics.count("incoming_unencrypted_mail_count");
      metrics.count("rejected_unencrypted_mail_count");
      metrics.count("filtermail_inbound_drop_total", { reason: "unencrypted" });
    }
    if (verdict.kind === "pass") {
      if (verdict.as === "mailerDaemon") metrics.count("incoming_mailer_daemon_mail_count");
      else if (verdict.as === "cleartext") metrics.count("incoming_unencrypted_mail_count");
      else metrics.count("incoming_encrypted_mail_count");
    }
    events.verdict(log, "incoming", verdict.kind === "pass" ? verdict.as : verdict.why);
  }
}
