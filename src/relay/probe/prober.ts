/**
 * Sends itself a message, for each domain and again and again: from one account of its own to
 * another, by the ports that clients use. The result is in `/status` and the metrics.
 */
import { randomBytes } from "node:crypto";
import { mkdir, rm, statfs } from "node:fs/promises";
import type { Logger } from "pino";
import { diskRoom } from "../../lib/disk-room.ts";
import { messageOf } from "../../lib/text.ts";
import { wait } from "../../lib/wait.ts";
import type { RelayConfig } from "../../pod/relay-config.ts";
import * as events from "../events.ts";
import type { Metrics } from "../metrics.ts";
import { OneAtATime } from "../one-at-a-time.ts";
import { type ProbeAccounts, probeFolder } from "./accounts.ts";
import { StepFailed, type Target } from "./connection.ts";
import { Inbox, inboxService } from "./inbox.ts";
import { probeMessage } from "./message.ts";
import { begin, type Deliverable, next, type Outcome, type ProbeState } from "./policy.ts";
import { Submission, submissionService } from "./submission.ts";

export interface ProberOptions {
  config: Pick<RelayConfig, "closing" | "domains" | "mailFolder" | "proxyProtocol">;
  accounts: ProbeAccounts;
  metrics: Metrics;
  log: Logger;
  now: () => number;
  everyMs: number;
}

/** From acceptance to IDLE; it is milliseconds, unless the machine is busy. */
const deliveryMs = 30_000;
/**
 * Probes at the same time, in a pod with many domains: all come from one client, which may have
 * three submission sessions where `network.connections.submission` is at its least.
 */
const mostAtOnce = 2;
/** What the file system still needs for itself where no message has room. */
const littleRoomBytes = 2 ** 20;
/** Of the pod itself, where nginx and Postfix listen for everybody. */
const host = "127.0.0.1";

/** One domain that is probed. */
interface Probed {
  state: ProbeState;
  ending: AbortController;
  ended: Promise<void>;
}

export class Prober {
  readonly #options: ProberOptions;
  readonly #probed = new Map<string, Probed>();
  readonly #turns = new OneAtATime();
  readonly #ending = new Set<Promise<void>>();
  #started = 0;

  private constructor(options: ProberOptions) {
    this.#options = options;
  }

  /** Removes what a process before this one has left. */
  static async open(options: ProberOptions): Promise<Prober> {
    await removeFolder(probeFolder(options.config.mailFolder));
    return new Prober(options);
  }

  /** Probes the domains that are served now, and no others. Waits for no probe. */
  follow(): void {
    // one that is about to end accepts no mail
    const domains = this.#options.config.closing ? {} : this.#options.config.domains;
    for (const domain of this.#probed.keys()) if (!Object.hasOwn(domains, domain)) this.#end(domain);
    for (const domain of Object.keys(domains)) if (!this.#probed.has(domain)) this.#begin(domain);
  }

  async stop(): Promise<void> {
    for (const domain of this.#probed.keys()) this.#end(domain);
    await Promise.all(this.#ending);
  }

  /** By domain; one on which there is no verdict yet is missing. */
  report(): Record<string, Deliverable> {
    return Object.fromEntries(
      [...this.#probed].flatMap(([domain, { state }]) => (state.verdict ? [[domain, state.verdict] as const] : [])),
    );
  }

  #begin(domain: string): void {
    const ending = new AbortController();
    const turn = String(this.#started++ % mostAtOnce);
    const probed: Probed = { state: begin(this.#options.now()), ending, ended: Promise.resolve() };
    probed.ended = this.#run(domain, probed, turn);
    this.#probed.set(domain, probed);
  }

  #end(domain: string): void {
    const probed = this.#probed.get(domain);
    if (!probed) return;
    this.#probed.delete(domain);
    probed.ending.abort();
    const ending = this.#cleanUp(domain, probed).finally(() => this.#ending.delete(ending));
    this.#ending.add(ending);
  }

  async #cleanUp(domain: string, { ended }: Probed): Promise<void> {
    await ended;
    // it may be served again meanwhile
    if (!this.#probed.has(domain)) await removeFolder(this.#options.accounts.homeOf(domain));
  }

  async #run(domain: string, probed: Probed, turn: string): Promise<void> {
    const { signal } = probed.ending;
    while (!signal.aborted) {
      const outcome = await this.#turns.run(turn, async () =>
        signal.aborted ? undefined : this.#probe(domain, signal),
      );
      if (signal.aborted || !outcome) return;
      await wait(this.#judge(domain, probed, outcome), signal);
    }
  }

  /** Returns when to probe again, in milliseconds. */
  #judge(domain: string, probed: Probed, outcome: Outcome): number {
    const { everyMs, log, now } = this.#options;
    const before = probed.state.verdict?.status;
    const { state, afterMs, counts } = next(probed.state, outcome, { nowMs: now(), everyMs, random: Math.random() });
    probed.state = state;
    if (counts) this.#count(domain, outcome);
    const { verdict } = state;
    if (verdict?.status === true && before !== true) events.deliverable(log, domain);
    if (verdict?.status === false && before !== false)
      events.notDeliverable(log, domain, verdict.step, verdict.message);
    return afterMs;
  }

  #count(domain: string, outcome: Outcome): void {
    const metrics = this.#options.metrics.of(domain);
    if (outcome.kind === "delivered") metrics.observe("probe_delivery_seconds", outcome.latencyMs / 1000);
    else metrics.count("probe_failures_total", { step: outcome.step });
  }

  async #probe(domain: string, signal: AbortSignal): Promise<Outcome> {
    const { accounts } = this.#options;
    const pair = accounts.open(domain);
    const opened: { destroy(): void }[] = [];
    try {
      await this.#makeMailbox(domain);
      const inbox = await Inbox.open(this.#target(inboxService, domain), pair.recipient, signal);
      opened.push(inbox);
      const submission = await Submission.open(this.#target(submissionService, domain), pair.sender, signal);
      opened.push(submission);
      const { address: from } = pair.sender;
      const { address: to } = pair.recipient;
      const messageId = `${randomBytes(12).toString("hex")}@${domain}`;
      const data = probeMessage({ from, to, messageId, date: new Date(this.#options.now()) });
      const startMs = performance.now();
      await submission.send({ from, to, data });
      await inbox.receive(messageId, { isDelivered: () => pair.isDelivered, ms: deliveryMs });
      const latencyMs = performance.now() - startMs;
      submission.close();
      await inbox.close();
      return { kind: "delivered", latencyMs };
    } catch (thrown) {
      for (const each of opened) each.destroy();
      const step = thrown instanceof StepFailed ? thrown.step : "connect";
      return { kind: "failed", step, message: `${messageOf(thrown)}${await this.#noRoom()}` };
    } finally {
      // what is still on its way to this address is refused from now on, and its sender is nobody:
      // nothing stays in the queue
      accounts.close(pair);
    }
  }

  /** Dovecot says no more of a full volume than that there is an error. */
  async #noRoom(): Promise<string> {
    const disk = await statfs(this.#options.config.mailFolder).catch(() => undefined);
    return disk && diskRoom(disk).freeBytes < littleRoomBytes ? "; the volume is full" : "";
  }

  /** Without room for it the delivery fails, and says more. */
  async #makeMailbox(domain: string): Promise<void> {
    await mkdir(this.#options.accounts.homeOf(domain), { recursive: true, mode: 0o700 }).catch(() => undefined);
  }

  #target(service: Pick<Target, "service" | "port">, domain: string): Target {
    return { ...service, host, domain, proxyProtocol: this.#options.config.proxyProtocol ?? false };
  }
}

/** What can't be removed now is removed at the next start. */
async function removeFolder(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true, maxRetries: 3 }).catch(() => undefined);
}
