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
  #left: string[] = [];
  #dropped: string[] = [];
  #isSurelyRefused = false;

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
    const { config } = this.#tools;
    for (const address of this.#recipients) {
      ((await isDisabled(config, address)) ? this.#dropped : this.#left).push(address);
    }
    this.#inspector.endOfHeaders();
    const mayPass = this.#inspector.hopeful || this.#inspector.type === "multipart/report";
    this.#isSurelyRefused = !mayPass && (await this.#oneMustBeEncrypted());
  }

  /** But for a sure refusal the whole body is wanted: its line ends are judged too. */
  body(chunk: Buffer): boolean {
    if (!this.#isSurelyRefused) this.#inspector.body(chunk);
    return this.#isSurelyRefused;
  }

  async endOfMessage(): Promise<Judgement> {
    const facts = this.#inspector.finish();
    const passesEverywhere = facts.encrypted !== "no" || facts.secureJoinRequest;
    const verdict = judgeIncoming(facts, {
      recipientsLeft: this.#left.length,
      oneMustBeEncrypted: !passesEverywhere && (await this.#oneMustBeEncrypted()),
    });
    this.#count(verdict);
    if (verdict.kind === "refuse") return { reply: { kind: "reply", text: verdict.text }, modifications: [] };
    if (verdict.kind === "discard") return { reply: { kind: "discard" }, modifications: [] };
    const modifications = this.#dropped.map(
      (each): Modification => ({ kind: "deleteRecipient", recipient: `<${each}>` }),
    );
    if (senderBecomesNull(facts, this.#sender)) modifications.push({ kind: "changeFrom", sender: "<>" });
    return { reply: { kind: "accept" }, modifications };
  }

  async #oneMustBeEncrypted(): Promise<boolean> {
    for (const address of this.#left) if (await takesOnlyEncrypted(this.#tools.config, address)) return true;
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
