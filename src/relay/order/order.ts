/**
 * Keeps the order of mail from one sender to one recipient (decision 0024). Postfix delivers in
 * parallel and scans its queue in no order. So the end of a mail is answered only when the mail
 * before it, of the same sender and to the same recipient, has been delivered: two of them are
 * never in the queue together, and mail to others is not in each other's way. A delivery that takes
 * too long is waited for once.
 */
import { BoundedMap } from "../../lib/bounded-map.ts";
import { within } from "../../lib/within.ts";

export interface OrderedMail {
  /** The author, as the From header says. */
  sender: string;
  recipients: readonly string[];
}

export interface DeliveryOrderOptions {
  /**
   * Whether the end of a delivery to this address will be reported. Nothing waits for other
   * deliveries.
   */
  isReported(recipient: string): boolean;
  /** A delivery has ended, in time or not; or it took as long and is not waited for any more. */
  onEnded?(tookMs: number): void;
  /** A delivery took longer than the patience. */
  onLate(): void;
  now(): number;
  patienceMs?: number;
}

/**
 * A delivery takes 20 ms, some hundred to a relay far away, and seconds on a machine with 25 times
 * more to do than it can.
 */
const builtInPatienceMs = 10_000;
/**
 * How long mail of a sender to a recipient does not wait after a delivery was late; a report that
 * comes ends it.
 */
const lateMs = 300_000;
const mostLate = 10_000;

interface Delivery {
  since: number;
  ended: Promise<void>;
  end(): void;
}

export class DeliveryOrder {
  readonly #options: DeliveryOrderOptions;
  readonly #patienceMs: number;
  /** By sender and recipient; the one accepted longest ago comes first. */
  readonly #deliveries = new Map<string, Delivery>();
  /** Until when mail of a sender to a recipient does not wait. */
  readonly #late = new BoundedMap<string, number>(mostLate);
  #stopped = false;

  constructor(options: DeliveryOrderOptions) {
    this.#options = options;
    this.#patienceMs = options.patienceMs ?? builtInPatienceMs;
  }

  /** Deliveries whose end may still be waited for. */
  get size(): number {
    return this.#deliveries.size;
  }

  /**
   * Resolves when the mail may be accepted. To be called last, when nothing but the acceptance is
   * left.
   */
  async turn({ sender, recipients }: OrderedMail): Promise<void> {
    // bounces have no order
    if (sender === "" || this.#stopped) return;
    const reported = [...new Set(recipients)].filter((each) => this.#options.isReported(each));
    const pairs = reported.map((recipient) => pairOf(sender, recipient));
    const end = this.#options.now() + this.#patienceMs;
    for (let busy = this.#busy(pairs); busy && !this.#stopped; busy = this.#busy(pairs)) {
      const leftMs = end - this.#options.now();
      if (leftMs > 0) await within(busy.ended, leftMs, undefined);
      else this.#giveUp(pairs);
    }
    this.#begin(pairs);
  }

  /** A delivery has ended, whatever came of it. */
  ended({ sender, recipients }: OrderedMail): void {
    for (const recipient of recipients) {
      const pair = pairOf(sender, recipient);
      this.#late.delete(pair);
      const delivery = this.#deliveries.get(pair);
      if (delivery) this.#end(delivery);
    }
  }

  /** Nothing waits from now on. */
  stop(): void {
    this.#stopped = true;
    for (const delivery of [...this.#deliveries.values()]) delivery.end();
  }

  #busy(pairs: readonly string[]): Delivery | undefined {
    for (const pair of pairs) {
      const delivery = this.#deliveries.get(pair);
      if (delivery) return delivery;
    }
    return undefined;
  }

  #giveUp(pairs: readonly string[]): void {
    this.#options.onLate();
    for (const pair of pairs) {
      const delivery = this.#deliveries.get(pair);
      if (!delivery) continue;
      this.#late.set(pair, this.#options.now() + lateMs);
      this.#end(delivery);
    }
  }

  #end(delivery: Delivery): void {
    this.#options.onEnded?.(this.#options.now() - delivery.since);
    delivery.end();
  }

  #begin(pairs: readonly string[]): void {
    const now = this.#options.now();
    // nobody waits for these any more: whoever began to has lost patience
    for (const delivery of this.#deliveries.values()) {
      if (delivery.since + 2 * this.#patienceMs > now) break;
      delivery.end();
    }
    for (const pair of pairs) if (!this.#isLate(pair, now)) this.#add(pair, now);
  }

  #add(pair: string, since: number): void {
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    const end = () => {
      this.#deliveries.delete(pair);
      resolve();
    };
    this.#deliveries.set(pair, { since, ended, end });
  }

  #isLate(pair: string, now: number): boolean {
    const until = this.#late.get(pair);
    if (until !== undefined && until <= now) this.#late.delete(pair);
    return until !== undefined && until > now;
  }
}

const pairOf = (sender: string, recipient: string) => `${sender}\n${recipient}`.toLowerCase();
