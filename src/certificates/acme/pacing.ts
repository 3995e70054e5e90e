/**
 * What one account may do in a time, so that a thousand servers that share it stay within what
 * authorities allow; what an authority refuses all the same is obeyed besides (Retry-After). In
 * memory: after a restart the windows are empty. Pure.
 */
import { BoundedMap } from "../../lib/bounded-map.ts";

export interface Limits {
  newOrders: Window;
  /** Of names below one registered domain; renewals are not counted. */
  certificates: Window;
}

interface Window {
  most: number;
  withinMs: number;
}

const hourMs = 3_600_000;
/** Who comes later than that has lost its turn. */
const missedMs = hourMs / 6;

/**
 * Somewhat less than Let's Encrypt allows, and also where some come late: others may use the same
 * account, or domain.
 */
const usualLimits: Limits = {
  newOrders: { most: 250, withinMs: 3 * hourMs + missedMs },
  certificates: { most: 45, withinMs: 7 * 24 * hourMs + missedMs },
};

/** From when on a domain may be ordered for; each is counted then. */
interface Turn {
  certificateAt?: number;
  orderAt?: number;
}

const mostTurns = 10_000;

export class Pacing {
  readonly #limits: Limits;
  /** In their order; those to come are the turns of who waits. */
  readonly #orders: number[] = [];
  readonly #certificates = new Map<string, number[]>();
  readonly #turns = new BoundedMap<string, Turn>(mostTurns);
  #pausedUntil = 0;

  constructor(limits: Limits = usualLimits) {
    this.#limits = limits;
  }

  /**
   * Counts the order and gives undefined, or says how long it has to wait. Of many that wait each
   * has a time of its own, which stays the same: they don't all come back for every place that gets
   * free.
   */
  take(of: { domain: string; isRenewal: boolean }, now: Date): { waitMs: number; says: string } | undefined {
    const at = now.getTime();
    if (this.#pausedUntil > at) return { waitMs: this.#pausedUntil - at, says: "the authority is overloaded" };
    const { newOrders, certificates } = this.#limits;
    const turn = this.#turnOf(of.domain, at);
    if (!of.isRenewal) {
      const registered = registeredDomain(of.domain);
      const issued = this.#certificates.get(registered) ?? [];
      this.#certificates.set(registered, issued);
      turn.certificateAt ??= turnIn(issued, certificates, at);
      const says = `${certificates.most} certificates below ${registered} were ordered within a week`;
      if (turn.certificateAt > at) return { waitMs: turn.certificateAt - at, says };
    }
    turn.orderAt ??= turnIn(this.#orders, newOrders, at);
    if (turn.orderAt > at) {
      const says = `the account has ordered ${newOrders.most} certificates in a short time`;
      return { waitMs: turn.orderAt - at, says };
    }
    this.#turns.delete(of.domain);
    return undefined;
  }

  /** Nobody orders anything for a while. */
  pause(ms: number, now: Date): void {
    this.#pausedUntil = Math.max(this.#pausedUntil, now.getTime() + ms);
  }

  #turnOf(domain: string, at: number): Turn {
    const known = this.#turns.use(domain);
    const last = known?.orderAt ?? known?.certificateAt;
    if (known && last !== undefined && last + missedMs > at) return known;
    const turn: Turn = {};
    this.#turns.set(domain, turn);
    return turn;
  }
}

/** When another one fits; it is counted. Forgets those that are too old to count. */
function turnIn(times: number[], { most, withinMs }: Window, at: number): number {
  while ((times[0] ?? at) <= at - withinMs) times.shift();
  const oldest = times[times.length - most];
  const turn = oldest === undefined ? at : Math.max(at, oldest + withinMs);
  times.push(turn);
  return turn;
}

/**
 * Two labels, or three where the second is one of those below which countries register names
 * (co.uk): near enough to the public suffix list for a limit of our own.
 */
export function registeredDomain(domain: string): string {
  const labels = domain.split(".");
  const [second = "", top = ""] = labels.slice(-2);
  const isSuffix = top.length === 2 && (second.length <= 3 || second === "gouv");
  return labels.slice(isSuffix ? -3 : -2).join(".");
}
