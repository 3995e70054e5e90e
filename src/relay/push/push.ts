/** Push notifications as the settings have them at the moment: by a service, or not at all. */
import { join } from "node:path";
import type { Logger } from "pino";
import type { MayConnect } from "../../pod/networks.ts";
import type { RelayConfig } from "../../pod/relay-config.ts";
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
  url: string;
  service: PushService;
  notifier: Notifier;
}

export class Push {
  readonly #tools: PushTools;
  #running: Running | undefined;

  constructor(tools: PushTools) {
    this.#tools = tools;
  }

  /** Takes up what the settings say now. What waits is pushed by the new service; without one it is forgotten. */
  async follow(): Promise<void> {
    const { config, log, mayConnect } = this.#tools;
    const url = config.push?.url;
    if (url !== undefined && this.#running?.url === url) return;
    await this.stop();
    if (url === undefined) return this.#forgetAll();
    const service = pushService({ url, mayConnect, onRefused: () => events.pushServiceRefused(log) });
    const notifier = new Notifier({ ...this.#tools, post: service.post });
    this.#running = { url, service, notifier };
    await notifier.start();
  }

  /** A message has come for this address. */
  async messageCame(address: string): Promise<void> {
    await this.#running?.notifier.messageCame(address);
  }

  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    await running?.notifier.stop();
    running?.service.close();
  }

  async #forgetAll(): Promise<void> {
    const { config, log } = this.#tools;
    for (const domain of Object.keys(config.domains)) {
      await forgetAllPushes(join(config.mailFolder, domain)).catch((thrown: unknown) =>
        events.answerFailed(log, "push", thrown),
      );
    }
  }
}
