/**
 * Events (events.k8s.io/v1) as notes at an object, for people: `kubectl describe` and `kubectl
 * events` show them. Said again they are counted, not repeated. Nothing here ever waits or throws:
 * a reconcile does not depend on what is written about it.
 */
import { randomBytes } from "node:crypto";
import type { EventsV1Event } from "@kubernetes/client-node";
import { backOffMs } from "../lib/back-off.ts";
import { BoundedMap } from "../lib/bounded-map.ts";
import { messageOf } from "../lib/text.ts";
import { wait } from "../lib/wait.ts";
import { isPassing } from "./api-error.ts";
import { type Client, isApiError } from "./client.ts";
import type { Typed } from "./kinds.ts";
import type { Log } from "./log.ts";
import { type KubeObject, microTime, type Resource } from "./object.ts";

export interface Note {
  /** Warning: a person may have to act. */
  type: "Normal" | "Warning";
  /** One word, as in conditions. */
  reason: string;
  note: string;
  /** What was being done, one word; by default "Reconciling". */
  action?: string;
}

const event: Resource<Event> = { group: "events.k8s.io", version: "v1", kind: "Event", plural: "events" };
type Event = Typed<EventsV1Event>;

const limits = {
  /**
   * Said again within this, a note is the same series; after it, a new event (servers drop events
   * after an hour).
   */
  seriesMs: 30 * 60_000,
  /** The count of a series is written no more often than this. */
  countEveryMs: 60_000,
  /** Notes that wait to be sent; beyond it the oldest are dropped. */
  waiting: 1_000,
  /** About one object, so many at once and then one more every so often. */
  burst: 25,
  oneMoreMs: 5 * 60_000,
  tries: 4,
  remembered: 10_000,
};

interface Series {
  /** Undefined until the event was made. */
  name: string | undefined;
  namespace: string;
  count: number;
  countWritten: number;
  lastAt: number;
  timer?: NodeJS.Timeout;
}

export class EventRecorder {
  readonly #client: Client;
  readonly #component: string;
  readonly #instance: string;
  readonly #log: Log;
  readonly #now: () => Date;
  readonly #stopping = new AbortController();
  readonly #series = new BoundedMap<string, Series>(limits.remembered);
  readonly #budget = new BoundedMap<string, { left: number; at: number }>(limits.remembered);
  readonly #waiting: (() => Promise<void>)[] = [];
  #sending: Promise<void> | undefined;
  #dropped = 0;

  /**
   * `component`: who says so, such as "chatmail.dev/operator"; `instance`: which of them, such as
   * the pod's name.
   */
  constructor(options: { client: Client; component: string; instance: string; log: Log; now?: () => Date }) {
    this.#client = options.client;
    this.#component = options.component;
    this.#instance = options.instance.slice(0, 128);
    this.#log = options.log;
    this.#now = options.now ?? (() => new Date());
  }

  /** How many notes were not sent. */
  get dropped(): number {
    return this.#dropped;
  }

  note(about: KubeObject, note: Note): void {
    try {
      this.#note(about, note);
    } catch (err) {
      this.#dropped++;
      this.#log.debug({ err }, "event not noted");
    }
  }

  /** Sends what waits, for so long at most, and nothing afterwards. */
  async close(withinMs = 1_000): Promise<void> {
    for (const series of this.#series.values()) this.#countNow(series);
    const timer = setTimeout(() => this.#stopping.abort(new Error("closed")), withinMs);
    await this.#sending;
    clearTimeout(timer);
    this.#stopping.abort(new Error("closed"));
  }

  #note(about: KubeObject, { type, reason, note, action = "Reconciling" }: Note): void {
    if (this.#stopping.signal.aborted) return;
    const { name, namespace, uid = "" } = about.metadata;
    const key = JSON.stringify([uid, namespace, name, type, reason, action, note]);
    const now = performance.now();
    const known = this.#series.get(key);
    if (known && now - known.lastAt < limits.seriesMs) {
      known.count++;
      known.lastAt = now;
      known.timer ??= setTimeout(() => this.#countNow(known), limits.countEveryMs).unref();
      return;
    }
    if (known) this.#countNow(known);
    if (!this.#mayAdd(uid || `${namespace}/${name}`, now)) {
      this.#dropped++;
      return;
    }
    const series: Series = {
      name: undefined,
      namespace: namespace ?? "default",
      count: 1,
      countWritten: 1,
      lastAt: now,
    };
    this.#series.set(key, series);
    const time = this.#now();
    const eventName = `${name.slice(0, 200)}.${time.getTime().toString(16)}${randomBytes(4).toString("hex")}`;
    const { apiVersion, kind } = about;
    const body = {
      apiVersion: "events.k8s.io/v1",
      kind: event.kind,
      metadata: { name: eventName, namespace: series.namespace },
      eventTime: microTime(time),
      reportingController: this.#component,
      reportingInstance: this.#instance,
      type,
      reason: reason.slice(0, 128),
      action: action.slice(0, 128),
      note: shortened(note, 1_024),
      regarding: { apiVersion, kind, name, ...(namespace && { namespace }), ...(uid && { uid }) },
    };
    this.#send(async () => {
      await this.#client.create(event, body, this.#stopping.signal).catch((error: unknown) => {
        // An earlier attempt without a response created it: the name is unique.
        if (!isApiError(error, 409)) throw error;
      });
      series.name = eventName;
    });
  }

  #countNow(series: Series): void {
    clearTimeout(series.timer);
    delete series.timer;
    if (series.count === series.countWritten || this.#stopping.signal.aborted) return;
    this.#send(async () => {
      if (series.name === undefined) return;
      const { count, name, namespace } = series;
      const patch = { series: { count, lastObservedTime: microTime(this.#now()) } };
      await this.#client.merge(event, { namespace, name }, patch, this.#stopping.signal);
      series.countWritten = count;
    });
  }

  #mayAdd(about: string, now: number): boolean {
    const budget = this.#budget.get(about) ?? { left: limits.burst, at: now };
    const left = Math.min(limits.burst, budget.left + (now - budget.at) / limits.oneMoreMs);
    this.#budget.set(about, { left: left >= 1 ? left - 1 : left, at: now });
    return left >= 1;
  }

  #send(job: () => Promise<void>): void {
    this.#waiting.push(job);
    if (this.#waiting.length > limits.waiting) {
      this.#waiting.shift();
      this.#dropped++;
    }
    this.#sending ??= this.#sendAll();
  }

  async #sendAll(): Promise<void> {
    const { signal } = this.#stopping;
    for (let job = this.#waiting.shift(); job && !signal.aborted; job = this.#waiting.shift()) {
      for (let tries = 1; ; tries++) {
        try {
          await job();
          break;
        } catch (error) {
          // A namespace that is being deleted takes no events, and an event that is gone no count.
          if (signal.aborted || tries >= limits.tries || !isPassing(error) || isApiError(error, 403)) {
            this.#dropped++;
            this.#log.debug({ cause: messageOf(error) }, "event not sent");
            break;
          }
          await wait(backOffMs(tries, { firstMs: 500, mostMs: 10_000 }), signal);
        }
      }
    }
    // At once, or what is noted before a promise could tell would wait for the next note.
    this.#sending = undefined;
  }
}

/** The server counts bytes. */
function shortened(text: string, mostBytes: number): string {
  if (Buffer.byteLength(text) <= mostBytes) return text;
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(mostBytes - 3));
  return `${text.slice(0, read)}…`;
}
