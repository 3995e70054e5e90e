/**
 * Looks beside the mail for what a domain offers: `/mxdeliv` on its MX hosts, and an MTA-STS
 * policy. One look at a time for a domain.
 */

import type { Logger } from "pino";
import { within } from "../../lib/within.ts";
import * as events from "../events.ts";
import { PeerError } from "../https/peers.ts";
import { isHostName, isUnverified } from "./domain.ts";
import type { Knowledge } from "./knowledge.ts";
import { afterDiscovery, type Finding } from "./policy.ts";
import type { RouteResolver } from "./resolver.ts";
import { parseStsPolicy, type StsPolicy, stsId } from "./sts.ts";

export interface DiscoveryOptions {
  knowledge: Knowledge;
  resolver: Pick<RouteResolver, "exchangers" | "texts">;
  /** Whether this host has the HTTPS delivery; rejects where it can't be reached. */
  probe: (host: string, unverified: boolean) => Promise<"yes" | "no" | "unreached">;
  /** The text of `/.well-known/mta-sts.txt` of a policy host; rejects where there is none. */
  fetchPolicy: (host: string) => Promise<string>;
  now: () => number;
  log: Logger;
  /** Looks at the same time. */
  most?: number;
}

/** So many wait for their turn; what is over this is looked for when it is next asked about. */
const mostWaiting = 2000;
/** MX hosts that are asked. */
const mostHosts = 4;
const day = 86_400_000;

interface Discovering {
  sts: Promise<void>;
  all: Promise<unknown>;
}

export class Discovery {
  readonly #options: DiscoveryOptions;
  readonly #running = new Map<string, Discovering>();
  readonly #waiting = new Set<string>();

  constructor(options: DiscoveryOptions) {
    this.#options = options;
  }

  /** Starts a look, if none is on its way. */
  start(destination: string): void {
    if (this.#running.has(destination) || this.#waiting.has(destination)) return;
    if (this.#running.size < (this.#options.most ?? 50)) this.#start(destination);
    else if (this.#waiting.size < mostWaiting) this.#waiting.add(destination);
  }

  /**
   * Resolves when a running look knows the domain's MTA-STS policy, or after the patience; at once
   * when there is no look.
   */
  async stsKnown(destination: string, patienceMs: number): Promise<void> {
    const look = this.#running.get(destination);
    if (look) await within(look.sts, patienceMs, undefined);
  }

  /** Resolves when no look is on its way. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all([...this.#running.values()].map((each) => each.all));
  }

  #start(destination: string): void {
    this.#waiting.delete(destination);
    const failed = (thrown: unknown) => events.discoveryFailed(this.#options.log, destination, thrown);
    const sts = this.#lookForPolicy(destination).catch(failed);
    const https = this.#lookForHttps(destination).catch(failed);
    const all = Promise.all([sts, https]).finally(() => {
      this.#running.delete(destination);
      const [next] = this.#waiting;
      if (next !== undefined) this.#start(next);
    });
    this.#running.set(destination, { sts, all });
  }

  async #lookForHttps(destination: string): Promise<void> {
    const { knowledge, now, log } = this.#options;
    const finding = await this.#find(destination).catch((thrown): Finding => {
      events.discoveryFailed(log, destination, thrown);
      return { kind: "unreached" };
    });
    const before = knowledge.get(destination)?.https;
    const https = afterDiscovery(before, finding, now());
    knowledge.learn(destination, { https });
    if (https.state !== before?.state) events.httpsProbed(log, destination, https.state);
  }

  async #find(destination: string): Promise<Finding> {
    const { resolver, probe, log } = this.#options;
    const exchangers = await resolver.exchangers(destination);
    if (exchangers.kind === "none") return exchangers;
    if (exchangers.kind === "failed") throw new Error(exchangers.why);
    const hosts: string[] = [];
    for (const host of exchangers.hosts.slice(0, mostHosts)) {
      const found = await probe(host, isUnverified(destination)).catch((thrown) => {
        events.discoveryFailed(log, destination, thrown);
        // an address that may not be connected to is none that will answer later
        return thrown instanceof PeerError && thrown.reason === "refused_address" ? "no" : "unreached";
      });
      if (found === "yes") hosts.push(host);
      // a later host is a substitute: mail does not go there by HTTPS while the first can be had by
      // SMTP
      else if (hosts.length === 0) return { kind: found === "no" ? "none" : "unreached" };
      else break;
    }
    return { kind: "found", hosts };
  }

  /** A policy that can't be had again stays until its end (RFC 8461 §3.3). */
  async #lookForPolicy(destination: string): Promise<void> {
    if (isUnverified(destination) || !isHostName(destination)) return;
    const { resolver, fetchPolicy, knowledge, now } = this.#options;
    const id = stsId(await resolver.texts(`_mta-sts.${destination}`));
    const before = knowledge.get(destination)?.sts;
    if (id === undefined || (before?.id === id && before.until > now() + day)) return;
    const policy: StsPolicy | undefined = parseStsPolicy(await fetchPolicy(`mta-sts.${destination}`), id, now());
    if (policy) knowledge.learn(destination, { sts: policy });
  }
}
