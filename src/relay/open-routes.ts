/**
 * Puts the routes together: what is known, the looks for more, Postfix's questions, and the courier
 * for what goes by HTTPS.
 */
import { join } from "node:path";
import type { Logger } from "pino";
import { literalFamily } from "../api/domain.ts";
import type { Lookup } from "../dns/lookup.ts";
import type { MayConnect } from "../pod/networks.ts";
import type { Settings } from "./config.ts";
import { Courier } from "./deliver/courier.ts";
import { Peers } from "./https/peers.ts";
import type { Metrics } from "./metrics.ts";
import { Dane } from "./route/dane.ts";
import { Discovery } from "./route/discover.ts";
import { destinationOf } from "./route/domain.ts";
import { Knowledge } from "./route/knowledge.ts";
import { fetchStsPolicy, hasHttpsRoute } from "./route/probe.ts";
import { createRouteResolver } from "./route/resolver.ts";
import { Routes } from "./route/routes.ts";
import type { Answer, Question } from "./wire/socketmap.ts";

export interface OpenRoutes {
  courier: Courier;
  answer(question: Question): Answer | Promise<Answer>;
  /** Whether mail to this address would go by HTTPS now. */
  goesByHttps(recipient: string): boolean;
  /** Ends the connections to peers and writes what was learnt. */
  close: () => Promise<void>;
}

export interface OpenRoutesOptions {
  config: Settings;
  metrics: Metrics;
  lookup: Lookup;
  mayConnect: MayConnect;
  log: Logger;
  now: () => number;
}

/** Beside the folders of the domains; no domain begins with a dot. */
const fileName = ".destinations.json";

export async function openRoutes({
  config,
  metrics,
  lookup,
  mayConnect,
  log,
  now,
}: OpenRoutesOptions): Promise<OpenRoutes> {
  const knowledge = await Knowledge.open({ path: join(config.mailFolder, fileName), log, now });
  const resolver = createRouteResolver({ family: () => literalFamily(Object.keys(config.domains)) });
  const peers = new Peers({ lookup: resolver.lookup, mayConnect });
  const discovery = new Discovery({
    knowledge,
    resolver,
    probe: (host, unverified) => hasHttpsRoute(peers, { host, unverified }),
    fetchPolicy: (host) => fetchStsPolicy(peers, host),
    now,
    log,
  });
  const dane = config.dnssec ? new Dane({ lookup, now }) : undefined;
  const routes = new Routes({ config, knowledge, discovery, dane, mayConnect, now });
  const courier = new Courier({ knowledge, discovery, resolver, peers, metrics, log, now });
  return {
    courier,
    answer: (question) => routes.answer(question),
    goesByHttps: (recipient) => {
      const destination = destinationOf(recipient);
      return destination !== undefined && courier.isUsedFor(destination);
    },
    close: async () => {
      peers.close();
      await knowledge.close();
    },
  };
}
