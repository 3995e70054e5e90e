/**
 * What one account may do in a time, so that a thousand servers that share it stay within what
 * authorities allow; what an authority refuses all the same is obeyed besides (Retry-After). In
 * memory: after a restart the windows are empty. Pure.
 */

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

/** Somewhat less than Let's Encrypt allows: others may use the same account, or domain. */
const usualLimits: Limits = {
  newOrders: { most: 250, withinMs: 3 * hourMs },
  certificates: { most: 45, withinMs: 7 * 24 * hourMs },
};

export class Pacing {
  readonly #limits: Limits;
  readonly #orders: number[] = [];
  readonly #certificates = new Map<string, number[]>();
  #pausedUntil = 0;

  constructor(limits: Limits = usualLimits) {
    this.#limits = limits;
  }

  /** Counts the order and gives undefined, or says how long it has to wait. */
  take(of: { domain: string; isRenewal: boolean }, now: Date): { waitMs: number; says: string } | undefined {
    const at = now.getTime();
    if (this.#pausedUntil > at) return { waitMs: this.#pausedUntil - at, says: "the authority is overloaded" };
    const { newOrders, certificates } = this.#limits;
    const registered = registeredDomain(of.domain);
    const issued = this.#certificates.get(registered) ?? [];
    const orders = waitIn(this.#orders, newOrders, at);
    if (orders > 0)
      return { waitMs: orders, says: `the account has ordered ${newOrders.most} certificates in a short time` };
    const others = of.isRenewal ? 0 : waitIn(issued, certificates, at);
    if (others > 0)
      return {
        waitMs: others,
        says: `${certificates.most} certificates below ${registered} were ordered within a week`,
      };
    this.#orders.push(at);
    if (!of.isRenewal) this.#certificates.set(registered, [...issued, at]);
    return undefined;
  }

  /** Nobody orders anything for a while. */
  pause(ms: number, now: Date): void {
    this.#pausedUntil = Math.max(this.#pausedUntil, now.getTime() + ms);
  }
}

/** Until another one fits; forgets those that are too old to count. */
function waitIn(times: number[], { most, withinMs }: Window, at: number): number {
  while ((times[0] ?? at) <= at - withinMs) times.shift();
  const oldest = times[times.length - most];
  return oldest === undefined ? 0 : oldest + withinMs - at;
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
