/**
 * Push notifications as the settings have them at the moment: for each domain by a service, or not
 * at all. Domains with the same service share its connections.
 */
import { join } from "node:path";
import type { Logger } from "pino";
import type { MayConnect } from "../../pod/networks.ts";
import type { RelayConfig } from "../../pod/relay-config.ts";
import { localAddress } from "../domains.ts";
import * as events from "../events.ts";
import type { TokenStore } from "../metadata/tokens.ts";
import type { Metrics } from "../metrics.ts";
import { Notifier } from "./notifier.ts";
import { type PushService, pushService } from "./post.ts";
import { forgetAllPushes } from "./store.ts";

export interface PushTools {
  config: Pick<RelayConfig, "domains" | "mailFolder" | "push">;
  tokens: TokenStore;
  mayConnect: MayConnect;
  log: Logger;
  metrics: Metrics;
  now(): number;
}

interface Running {
  domains: readonly string[];
  service: PushService;
  notifier: Notifier;
}

export class Push {
  readonly #tools: PushTools;
  /** By URL. */
  readonly #running = new Map<string, Running>();
  /** As they were at the last time. */
  #domains: readonly string[] = [];

  constructor(tools: PushTools) {
    this.#tools = tools;
  }

  /**
   * Takes up what the settings say now. What waits is pushed by the new service; without one, and
   * of a domain that has left, it is forgotten.
   */
  async follow(): Promise<void> {
    const wanted = this.#wanted();
    for (const [url, running] of this.#running)
      if (running.domains.join() !== wanted.get(url)?.join()) await this.#end(url, running);
    const { config } = this.#tools;
    const domains = Object.keys(config.domains);
    const left = this.#domains.filter((domain) => !domains.includes(domain));
    await this.#forget([...left, ...domains.filter((domain) => urlOf(config, domain) === undefined)]);
    this.#domains = domains;
    for (const [url, domains] of wanted) if (!this.#running.has(url)) await this.#begin(url, domains);
  }

  /** A message has come for this address. */
  async messageCame(address: string): Promise<void> {
    const { config } = this.#tools;
    const url = urlOf(config, localAddress(config, address)?.domain ?? "");
    if (url !== undefined) await this.#running.get(url)?.notifier.messageCame(address);
  }

  async stop(): Promise<void> {
    for (const [url, running] of this.#running) await this.#end(url, running);
  }

  /** By URL, the domains that go by it. */
  #wanted(): Map<string, string[]> {
    const { config } = this.#tools;
    const wanted = new Map<string, string[]>();
    for (const domain of Object.keys(config.domains)) {
      const url = urlOf(config, domain);
      if (url !== undefined) wanted.set(url, [...(wanted.get(url) ?? []), domain]);
    }
    return wanted;
  }

  async #begin(url: string, domains: readonly string[]): Promise<void> {
    const { log, mayConnect } = this.#tools;
    const service = pushService({ url, mayConnect, onRefused: () => events.pushServiceRefused(log) });
    const notifier = new Notifier({ ...this.#tools, domains, post: service.post });
    this.#running.set(url, { domains, service, notifier });
    await notifier.start();
  }

  async #end(url: string, { service, notifier }: Running): Promise<void> {
    this.#running.delete(url);
    await notifier.stop();
    service.close();
  }

  async #forget(domains: readonly string[]): Promise<void> {
    const { config, log } = this.#tools;
    for (const domain of domains) {
      await forgetAllPushes(join(config.mailFolder, domain)).catch((thrown: unknown) =>
        events.answerFailed(log, "push", thrown),
      );
    }
  }
}

function urlOf({ push = {} }: Pick<RelayConfig, "push">, domain: string): string | undefined {
  return Object.hasOwn(push, domain) ? push[domain]?.url : undefined;
}
