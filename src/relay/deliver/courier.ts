/** Takes a mail to a domain's relay by HTTPS, and learns from how it went. */
import type { Logger } from "pino";
import { messageOf } from "../../lib/text.ts";
import * as events from "../events.ts";
import { type OpenRequest, PeerError, type Peers } from "../https/peers.ts";
import type { Metrics } from "../metrics.ts";
import type { Discovery } from "../route/discover.ts";
import { isUnverified } from "../route/domain.ts";
import type { Knowledge } from "../route/knowledge.ts";
import { afterFailure, afterSuccess, type HttpsRoute, isDue } from "../route/policy.ts";
import type { RouteResolver } from "../route/resolver.ts";
import { stsAllows } from "../route/sts.ts";
import { judgeAnswer } from "./policy.ts";
import type { Envelope, Parcel } from "./server.ts";

export interface CourierOptions {
  knowledge: Knowledge;
  discovery: Pick<Discovery, "start">;
  resolver: Pick<RouteResolver, "exchangers">;
  peers: Pick<Peers, "open">;
  metrics: Metrics;
  log: Logger;
  now: () => number;
}

/** Destinations remembered as used. */
const mostUsed = 10_000;

export class Courier {
  readonly #options: CourierOptions;
  /** Destinations that Postfix has brought mail for since they were found to have the route. */
  readonly #used = new Set<string>();

  constructor(options: CourierOptions) {
    this.#options = options;
  }

  /**
   * Whether mail to this destination comes here: Postfix may take SMTP for half a minute after the
   * route was found.
   */
  isUsedFor(destination: string): boolean {
    if (this.#options.knowledge.get(destination)?.https?.state !== "yes") this.#used.delete(destination);
    return this.#used.has(destination);
  }

  /**
   * A text is the reply that sends Postfix to SMTP. The peer is connected before the message is
   * asked for.
   */
  async open(envelope: Envelope): Promise<Parcel | string> {
    const { destination, sizeBytes = 0 } = envelope;
    const https = this.#options.knowledge.get(destination)?.https;
    if (https?.state !== "yes") return "451 4.4.4 HTTPS delivery is not known for this domain";
    if (this.#used.size < mostUsed) this.#used.add(destination);
    if (sizeBytes >= (https.tooLargeBytes ?? Number.POSITIVE_INFINITY)) return "451 4.3.4 too large for HTTPS there";
    if (isDue(https, this.#options.now())) this.#options.discovery.start(destination);
    const hosts = await this.#hosts(destination, https);
    if (hosts.length === 0) {
      this.#options.discovery.start(destination);
      return "451 4.4.4 HTTPS delivery has changed";
    }
    return this.#connect(envelope, hosts);
  }

  /**
   * The MX hosts of this moment, as far as they are known to have the route and the domain's policy
   * lets mail go there.
   */
  async #hosts(destination: string, https: HttpsRoute): Promise<readonly string[]> {
    const { knowledge, resolver, now } = this.#options;
    const exchangers = await resolver.exchangers(destination);
    if (exchangers.kind !== "hosts") return [];
    const good = exchangers.hosts.map(
      (host) => https.hosts.includes(host) && stsAllows(knowledge.get(destination)?.sts, host, now()),
    );
    const end = good.indexOf(false);
    return exchangers.hosts.slice(0, end < 0 ? good.length : end);
  }

  async #connect(envelope: Envelope, hosts: readonly string[]): Promise<Parcel | string> {
    const { sender, recipients, destination } = envelope;
    const headers = { ...(sender === "" ? {} : { "x-mail-from": sender }), "x-mail-to": [...recipients] };
    let last = "";
    for (const host of hosts) {
      try {
        const target = { host, unverified: isUnverified(destination) };
        const request = await this.#options.peers.open(target, { method: "POST", path: "/mxdeliv", headers });
        return this.#parcel(envelope, host, request);
      } catch (thrown) {
        last = messageOf(thrown);
        this.#failed(destination, thrown);
      }
    }
    this.#fail(destination, "broken", last);
    return "451 4.4.1 no connection by HTTPS";
  }

  #parcel(envelope: Envelope, host: string, request: OpenRequest): Parcel {
    const { destination } = envelope;
    let sent = 0;
    let broken: { thrown: unknown } | undefined;
    const lost = (thrown: unknown) => {
      request.abort();
      this.#failed(destination, thrown);
      this.#fail(destination, "broken", messageOf(thrown));
      return "451 4.4.2 the connection by HTTPS was lost";
    };
    return {
      write: async (chunk) => {
        sent += chunk.length;
        if (broken) return;
        await request.write(chunk).catch((thrown: unknown) => {
          broken = { thrown };
        });
      },
      finish: async () => {
        try {
          if (broken) return lost(broken.thrown);
          return this.#judged(envelope, host, { answer: await request.finish(), sent });
        } catch (thrown) {
          return lost(thrown);
        }
      },
      abort: () => request.abort(),
    };
  }

  #judged(
    { destination, recipients }: Envelope,
    host: string,
    { answer, sent }: { answer: { status: number; text: string }; sent: number },
  ) {
    const { knowledge, metrics } = this.#options;
    const outcome = judgeAnswer(answer, host, recipients.length);
    if (outcome.https === "good") {
      const https = knowledge.get(destination)?.https;
      if (https && afterSuccess(https) !== https) knowledge.learn(destination, { https: afterSuccess(https) });
    } else {
      const why = outcome.https === "tooLarge" ? { tooLargeBytes: sent } : outcome.https;
      this.#fail(destination, why, `answered ${answer.status}`);
    }
    metrics.count("mxdeliv_sent_total", {
      outcome: outcome.reply.slice(0, 1) === "2" ? "sent" : outcome.reply.slice(0, 3),
    });
    return outcome.reply;
  }

  #fail(destination: string, why: Parameters<typeof afterFailure>[1], said: string): void {
    const { knowledge, now, log } = this.#options;
    const https = knowledge.get(destination)?.https;
    if (!https) return;
    const after = afterFailure(https, why, now());
    knowledge.learn(destination, { https: after });
    if (after.state !== https.state) events.httpsFailed(log, destination, said);
  }

  #failed(destination: string, thrown: unknown): void {
    const { metrics, log } = this.#options;
    const reason = thrown instanceof PeerError ? thrown.reason : "other";
    metrics.count("filtermail_transport_error_total", { reason });
    events.peerFailed(log, destination, reason);
  }
}
