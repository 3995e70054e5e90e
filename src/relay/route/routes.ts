/**
 * Postfix's requests about routes: `transport` at once from memory, `tls-policy` too, except for a
 * domain that is met at this very moment, and `dns-reply` by rule. Domains are discovered from
 * `tls-policy` on: it is requested for a mail that was accepted, `transport` for each address that
 * a client mentions.
 */
import type { MayConnect } from "../../pod/networks.ts";
import { type Domains, limitsOfDomain } from "../domains.ts";
import type { Answer, Question } from "../wire/socketmap.ts";
import type { Dane } from "./dane.ts";
import type { Discovery } from "./discover.ts";
import { destinationOf, isHostName, isUnverified, literalAddress } from "./domain.ts";
import type { Knowledge } from "./knowledge.ts";
import { judgeDnsRecord, refusalOf } from "./peers-of-postfix.ts";
import { isDue, tlsPolicyFor, transportFor } from "./policy.ts";

export interface RoutesOptions {
  config: Pick<Domains, "domains">;
  knowledge: Knowledge;
  discovery: Pick<Discovery, "start" | "stsKnown">;
  /** Without it no domain has DANE. */
  dane?: Pick<Dane, "of"> | undefined;
  mayConnect: MayConnect;
  now: () => number;
}

/**
 * Postfix asks once per delivery, so waiting delays only that delivery, and even the first one sees
 * the policy.
 */
const policyPatienceMs = 3000;

export class Routes {
  readonly #options: RoutesOptions;

  constructor(options: RoutesOptions) {
    this.#options = options;
  }

  answer({ map, key }: Question): Answer | Promise<Answer> {
    switch (map) {
      case "transport":
        return answerOf(this.#transport(key));
      case "tls-policy":
        return this.#tlsPolicy(key.toLowerCase());
      case "dns-reply":
        return answerOf(judgeDnsRecord(key, this.#options.mayConnect));
      default:
        return { kind: "temporary", why: `there is no table ${map}` };
    }
  }

  /** `key` is a whole address; Postfix asks for senders and for "*" too. */
  #transport(key: string): string | undefined {
    const destination = destinationOf(key);
    if (destination !== undefined && this.#isOurs(destination)) return undefined;
    const refusal = key.includes("@")
      ? refusalOf(key.slice(key.lastIndexOf("@") + 1), this.#options.mayConnect)
      : undefined;
    if (refusal !== undefined || destination === undefined) return refusal;
    return transportFor(destination, this.#options.knowledge.get(destination));
  }

  async #tlsPolicy(nextHop: string): Promise<Answer> {
    const { knowledge, discovery, mayConnect, now } = this.#options;
    const literal = literalAddress(nextHop);
    if (literal !== undefined && mayConnect(literal)) this.#discoverIfDue(nextHop);
    if (!isHostName(nextHop)) return answerOf(tlsPolicyFor(nextHop, { known: undefined, dane: "absent" }, now()));
    this.#discoverIfDue(nextHop);
    const asked = isUnverified(nextHop) ? undefined : this.#options.dane?.of(nextHop, policyPatienceMs);
    await discovery.stsKnown(nextHop, policyPatienceMs);
    return answerOf(tlsPolicyFor(nextHop, { known: knowledge.get(nextHop), dane: (await asked) ?? "absent" }, now()));
  }

  #discoverIfDue(destination: string): void {
    const { knowledge, discovery, now } = this.#options;
    if (isDue(knowledge.get(destination)?.https, now())) discovery.start(destination);
  }

  #isOurs(destination: string): boolean {
    return limitsOfDomain(this.#options.config as Domains, literalAddress(destination) ?? destination) !== undefined;
  }
}

function answerOf(value: string | undefined): Answer {
  return value === undefined ? { kind: "notFound" } : { kind: "ok", value };
}
