/** Signs the bounces that our own Postfix writes (chatmail protocol §10), so that other relays take them. Whatever else comes by passes untouched. */
import { mailDomainOf } from "../../mail/address.ts";
import { limitsOfDomain } from "../domains.ts";
import * as events from "../events.ts";
import type { Judgement, MessageFilter } from "../wire/milter-server.ts";
import { MessageInspector } from "./inspect.ts";
import type { OutgoingTools } from "./outgoing.ts";
import type { OwnSigning } from "./own-keys.ts";
import { isBounce } from "./policy.ts";

export class BounceFilter implements MessageFilter {
  readonly #tools: OutgoingTools;
  readonly #sender: string;
  readonly #headers: (readonly [name: string, value: string])[] = [];
  readonly #inspector = new MessageInspector();
  #signing: OwnSigning | undefined;

  constructor(sender: string, tools: OutgoingTools) {
    this.#sender = sender;
    this.#tools = tools;
  }

  async recipient(): Promise<undefined> {}

  header(name: string, value: string): void {
    this.#inspector.header(name, value);
    this.#headers.push([name, value]);
  }

  /** Throws without a key: Postfix keeps the bounce and tries again. */
  endOfHeaders(): void {
    this.#inspector.endOfHeaders();
    const { config, keys } = this.#tools;
    const domain = mailDomainOf(this.#inspector.from ?? "");
    if (this.#sender !== "" || domain === undefined || !limitsOfDomain(config, domain)) return;
    this.#signing = keys.begin(domain);
    for (const [name, value] of this.#headers) this.#signing?.header(name, value);
  }

  body(chunk: Buffer): boolean {
    this.#signing?.body(chunk);
    return this.#signing === undefined;
  }

  async endOfMessage(): Promise<Judgement> {
    const signs = isBounce(this.#inspector.finish());
    events.verdict(this.#tools.log, "bounce", signs ? "mailerDaemon" : "other");
    const signatures = signs ? ((await this.#signing?.end()) ?? []) : [];
    return {
      reply: { kind: "accept" },
      modifications: signatures.toReversed().map((each) => ({ kind: "insertHeader", ...each })),
    };
  }
}
