/**
 * Background task: what each relay pod reports of itself on its health port (`GET /status`), which
 * the operator alone may reach. Each ready pod is asked when it becomes ready and once a minute
 * from then on. An answer that differs from the one before it triggers a reconcile; figures alone
 * do not, unless they pass a threshold, so that the status is not written each minute. A pod that
 * does not use the plan that it was given yet is asked again soon.
 */
import { get } from "node:http";
import * as z from "zod";
import { labels } from "../../api/names.ts";
import { type Run, runController } from "../../kube/controller.ts";
import type { Log } from "../../kube/log.ts";
import { keyOf } from "../../kube/object.ts";
import { from, fromMapped, type Source } from "../../kube/source.ts";
import type { Store } from "../../kube/store.ts";
import type { Metrics } from "../../lib/metrics.ts";
import { messageOf } from "../../lib/text.ts";
import { urlHost } from "../../lib/url-host.ts";
import { ports } from "../../mail/ports.ts";
import type { LivePod } from "../server/live.ts";
import type { Component } from "../server/resources/child.ts";
import { figuresAreAlike, reportedFigures } from "./relay-figures.ts";

/** Whether new accounts are made, by mail domain; the relay's words where they are not. */
const Report = z.object({
  ...reportedFigures,
  acceptingAccounts: z.record(
    z.string(),
    z.union([
      z.object({ status: z.literal(true) }),
      z.object({ status: z.literal(false), reason: z.string().max(100), message: z.string().max(1_000) }),
    ]),
  ),
  /**
   * Whether its messages to itself arrive, by mail domain; one without a verdict yet is missing.
   * Images of earlier versions send none, and what those of later ones add says nothing here.
   */
  deliverable: z
    .record(
      z.string(),
      z.object({
        status: z.boolean(),
        step: z.string().max(100).optional(),
        message: z.string().max(1_000).optional(),
      }),
    )
    .optional()
    .catch(undefined),
  /**
   * Digests of the plan that it was given and of the one that it goes by; why it does not go by the
   * given one.
   */
  plan: z
    .object({
      given: z.string().max(64).optional(),
      used: z.string().max(64).optional(),
      problem: z.string().max(2_000).optional(),
    })
    .optional(),
  /** By mail domain, the selectors that its mail is signed with; earlier images say none. */
  signing: z
    .record(z.string(), z.array(z.string().max(63)).max(32))
    .optional()
    .catch(undefined),
  /** Of a server that is being deleted: how much is left in its queue, once it was counted. */
  closing: z.object({ left: z.int().min(0).optional() }).optional(),
});
export type RelayReport = z.infer<typeof Report>;

/** What is known of one pod: its last report, or why there is none. */
export type RelayStatus = { report: RelayReport } | { unreachable: string };

interface Known {
  podUid: string;
  status: RelayStatus | undefined;
  /** Since the last answer. One that is lost changes nothing. */
  failures: number;
  /**
   * Questions in a row that came soon, because the pod was not at the plan that it is to have, or
   * had no verdict on its messages to itself.
   */
  soon: number;
}

const relayComponent: Component = "relay";
const everyMs = 60_000;
/**
 * While a new plan is on its way into the pod; for two minutes, in which the kubelet looks without
 * being told, too.
 */
const soonMs = 2_000;
const mostSoon = 60;
const withinMs = 5_000;
const failuresUntilUnreachable = 3;
const workers = 8;
const mostBytes = 65_536;

export class RelayStatuses {
  readonly #pods: Store<LivePod>;
  readonly #wantedPlan: (pod: LivePod) => string | undefined;
  readonly #known = new Map<string, Known>();
  readonly #listeners = new Set<(podKey: string) => void>();

  /** `wantedPlan`: digest of the plan that a pod is to have. */
  constructor(pods: Store<LivePod>, wantedPlan: (pod: LivePod) => string | undefined) {
    this.#pods = pods;
    this.#wantedPlan = wantedPlan;
    pods.listen(({ type, object }) => {
      if (type === "deleted") this.#known.delete(keyOf(object));
    });
  }

  /** Undefined until this pod has been asked. */
  of(pod: LivePod): RelayStatus | undefined {
    const known = this.#known.get(keyOf(pod));
    return known?.podUid === pod.metadata.uid ? known?.status : undefined;
  }

  /** Changes of what is known, as work of whoever `ownerOf` names. */
  source(ownerOf: (pod: LivePod) => Iterable<string>): Source {
    return {
      whenFilled: async () => undefined,
      start: (queue) => {
        const listener = (podKey: string) => {
          const pod = this.#pods.at(podKey);
          for (const key of pod ? ownerOf(pod) : []) queue.add(key, "change");
        };
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
      },
      sweep: () => undefined,
    };
  }

  /** Resolves when the signal is aborted and questions in flight have ended. */
  run(options: { signal: AbortSignal; log: Log; metrics?: Metrics }): Promise<void> {
    return runController({
      ...options,
      name: "relay-status",
      workers,
      sources: [from(this.#pods), fromMapped(this.#pods, ({ object }) => [keyOf(object)])],
      reconcile: async (key, run) => ({ againMs: await this.#ask(key, run) }),
    });
  }

  /** Returns when to ask again, in milliseconds; undefined where a change of the pod will tell. */
  async #ask(key: string, { signal, log }: Run): Promise<number | undefined> {
    const pod = this.#pods.at(key);
    const host = pod && isReadyRelay(pod) ? pod.status?.podIP : undefined;
    if (!pod || host === undefined) return undefined;
    const podUid = pod.metadata.uid ?? "";
    const known = this.#known.get(key);
    const before = known?.podUid === podUid ? known : { podUid, status: undefined, failures: 0, soon: 0 };
    try {
      const report = Report.parse(
        JSON.parse(await textAt(host, AbortSignal.any([signal, AbortSignal.timeout(withinMs)]))),
      );
      const same = before.status && "report" in before.status && isAlike(before.status.report, report);
      const isSoon = isOnTheWay(report, this.#wantedPlan(pod)) || isProbing(report) || isCounting(report);
      const soon = isSoon ? before.soon + 1 : 0;
      this.#keep(key, { podUid, failures: 0, soon, status: same ? before.status : { report } }, before);
      if ((soon > 0 && soon <= mostSoon) || report.closing) return soonMs;
    } catch (thrown) {
      if (signal.aborted) return undefined;
      const failures = before.failures + 1;
      const cause = thrown instanceof z.ZodError ? "this operator does not understand the answer" : messageOf(thrown);
      log.debug({ cause, failures }, "relay did not report");
      const status = failures < failuresUntilUnreachable ? before.status : { unreachable: cause };
      const same = before.status && "unreachable" in before.status && status && "unreachable" in status;
      this.#keep(key, { ...before, failures, status: same ? before.status : status }, before);
    }
    return everyMs * (0.9 + Math.random() * 0.2);
  }

  #keep(key: string, now: Known, before: Known): void {
    // a pod that ended while it was asked
    if (this.#pods.at(key)?.metadata.uid !== now.podUid) return;
    this.#known.set(key, now);
    if (now.status !== before.status) for (const listener of this.#listeners) listener(key);
  }
}

/** Whether the pod will go by another plan in a moment. */
function isOnTheWay({ plan }: RelayReport, wanted: string | undefined): boolean {
  if (!plan || wanted === undefined) return false;
  return plan.given !== wanted || (plan.used !== wanted && plan.problem === undefined);
}

/** Whether a verdict on the pod's messages to itself is still missing. */
const isProbing = ({ acceptingAccounts, deliverable }: RelayReport): boolean =>
  deliverable !== undefined && Object.keys(acceptingAccounts).some((domain) => !Object.hasOwn(deliverable, domain));

/**
 * Whether Postfix has not reported its queue yet; relays that do not count it name no version
 * either.
 */
const isCounting = ({ version, queue }: RelayReport): boolean => version !== undefined && queue === undefined;

const isAlike = (before: RelayReport, now: RelayReport): boolean =>
  outline(before) === outline(now) && figuresAreAlike(before, now);

/** What of a report is worth a write, beside figures that pass a threshold. */
const outline = ({ acceptingAccounts, deliverable = {}, plan, closing, signing }: RelayReport) =>
  JSON.stringify([
    plan,
    closing,
    signing,
    ...Object.entries(deliverable)
      .map(([domain, is]) => `${domain} ${is.status ? "" : is.step}`)
      .sort(),
    ...Object.entries(acceptingAccounts)
      .map(([domain, is]) => `${domain} ${is.status ? "" : is.reason}`)
      .sort(),
  ]);

function isReadyRelay({ metadata, status }: LivePod): boolean {
  return (
    metadata.labels?.[labels.component] === relayComponent &&
    !metadata.deletionTimestamp &&
    (status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True") ?? false)
  );
}

/** The body of an answer with status 200; throws with what was answered instead. */
function textAt(host: string, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const url = `http://${urlHost(host)}:${ports.health}/status?destinations`;
    const asked = get(url, { signal, agent: false }, (answer) => {
      let text = "";
      answer.setEncoding("utf8");
      answer.on("data", (piece: string) => {
        text += piece;
        if (text.length > mostBytes) asked.destroy(new Error(`more than ${mostBytes} bytes`));
      });
      answer.on("end", () =>
        answer.statusCode === 200 ? resolve(text) : reject(new Error(`answered HTTP ${answer.statusCode}`)),
      );
      answer.on("error", reject);
    });
    asked.on("error", (error) => reject(signal.aborted ? (signal.reason as Error) : error));
  });
}
