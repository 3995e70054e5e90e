/**
 * Signs the bounces that our own Postfix writes (chatmail protocol §10), so that other relays take
 * them. Whatever else comes by passes untouched.
 *
 * Postfix writes all of them in the name of one domain. Where several are served, each is given the
 * name of the domain that it is about: that of its reader, or else of the recipient that failed. So
 * who reads it learns nothing of the other domains.
 */
import { addressDomain } from "../../mail/address.ts";
import { ourDomainOf } from "../domains.ts";
import * as events from "../events.ts";
import type { Modification } from "../wire/milter.ts";
import type { Judgement, MessageFilter } from "../wire/milter-server.ts";
import { MessageInspector } from "./inspect.ts";
import type { OutgoingTools } from "./outgoing.ts";
import type { OwnSigning } from "./own-keys.ts";
import { isBounce } from "./policy.ts";

/**
 * Kept of a bounce until it is known whom it is about. Postfix puts at most 50 kB of the mail into
 * it.
 */
const mostKeptBytes = 2 ** 20;

export class BounceFilter implements MessageFilter {
  readonly #tools: OutgoingTools;
  readonly #sender: string;
  readonly #recipients: string[] = [];
  #headers: (readonly [name: string, value: string])[] = [];
  readonly #inspector = new MessageInspector();
  /**
   * Of our domains, the one in whose name Postfix has written it; undefined for whatever is no
   * bounce of ours.
   */
  #origin: string | undefined;
  /** The body, until the domain is known. */
  #kept: Buffer[] | undefined;
  #keptBytes = 0;
  #signing: OwnSigning | undefined;
  readonly #changes: Modification[] = [];

  constructor(sender: string, tools: OutgoingTools) {
    this.#sender = sender;
    this.#tools = tools;
  }

  async recipient(address: string): Promise<undefined> {
    this.#recipients.push(address);
  }

  header(name: string, value: string): void {
    this.#inspector.header(name, value);
    this.#headers.push([name, value]);
  }

  /** Throws without a key: Postfix keeps the bounce and tries again. */
  endOfHeaders(): void {
    this.#inspector.endOfHeaders();
    const { config } = this.#tools;
    this.#origin = this.#sender === "" ? ourDomainOf(config, this.#inspector.from ?? "") : undefined;
    if (this.#origin === undefined) return;
    const readers = this.#recipients.map((each) => ourDomainOf(config, each));
    const about = Object.keys(config.domains).length === 1 ? this.#origin : readers.find((each) => each !== undefined);
    if (about !== undefined) this.#writeFor(about);
    else this.#kept = [];
  }

  body(chunk: Buffer): boolean {
    this.#signing?.body(chunk);
    if (this.#kept) {
      this.#kept.push(chunk);
      this.#keptBytes += chunk.length;
      if (this.#keptBytes > mostKeptBytes) this.#writeForFailed();
    }
    return this.#signing === undefined && this.#kept === undefined;
  }

  async endOfMessage(): Promise<Judgement> {
    if (this.#kept) this.#writeForFailed();
    const signs = isBounce(this.#inspector.finish());
    events.verdict(this.#tools.log, "bounce", signs ? "mailerDaemon" : "other");
    const signatures = signs ? ((await this.#signing?.end()) ?? []) : [];
    return {
      reply: { kind: "accept" },
      modifications: [
        ...(signs ? this.#changes : []),
        ...signatures.toReversed().map((each): Modification => ({ kind: "insertHeader", ...each })),
      ],
    };
  }

  /** For the domain of the recipient that failed, as the report names it (RFC 3464 §2.3.2). */
  #writeForFailed(): void {
    const text = Buffer.concat(this.#kept ?? []).toString("latin1");
    const failed = [...text.matchAll(/^Final-Recipient: *rfc822; *(\S+) *\r?$/gim)];
    const domains = failed.map(([, address = ""]) => ourDomainOf(this.#tools.config, address));
    this.#writeFor(domains.find((each) => each !== undefined) ?? this.#origin ?? "");
  }

  #writeFor(domain: string): void {
    if (domain !== this.#origin)
      this.#headers = this.#headers.map(([name, value]) => {
        if (name.toLowerCase() !== "from") return [name, value];
        const renamed = value.replace(/@(\[[^\]]*\]|[^\s>()]+)/, `@${addressDomain(domain)}`);
        this.#changes.push({ kind: "changeHeader", name, index: 1, value: renamed });
        return [name, renamed];
      });
    this.#signing = this.#tools.keys.begin(domain);
    for (const [name, value] of this.#headers) this.#signing?.header(name, value);
    for (const chunk of this.#kept ?? []) this.#signing?.body(chunk);
    this.#kept = undefined;
  }
}
