/** How long to wait before the next try. */
export interface BackOffLimits {
  firstMs: number;
  mostMs: number;
}

/**
 * Doubles from `firstMs` to `mostMs`; the waits of many who failed together are spread over half to
 * the whole of it.
 */
export function backOffMs(failures: number, limits: BackOffLimits, random: () => number = Math.random): number {
  const whole = Math.min(limits.mostMs, limits.firstMs * 2 ** Math.min(failures, 30));
  return Math.round(whole / 2 + (whole / 2) * random());
}
