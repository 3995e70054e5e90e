/**
 * What an expiry run leaves behind, in figures and without an address (chatmail protocol §15.3).
 * Pure.
 */

const dayMs = 86_400_000;
const activeDays = [1, 10, 30, 40, 80, 100, 150] as const;
const leastBytes = [0, 102_400, 524_288, 1_048_576, 2_097_152, 5_242_880, 10_485_760] as const;

/** Each figure counts what the narrower ones count too. */
export interface Report {
  /** Accounts that logged in within so many days. */
  accountsActive: Record<number, number>;
  /** Messages of so many bytes or more, uncompressed. */
  messagesCount: Record<number, number>;
  messagesBytes: Record<number, number>;
}

const zeros = (keys: readonly number[]) => Object.fromEntries(keys.map((key) => [key, 0]));

export const emptyReport = (): Report => ({
  accountsActive: zeros(activeDays),
  messagesCount: zeros(leastBytes),
  messagesBytes: zeros(leastBytes),
});

export function addAccount({ accountsActive }: Report, lastLoginMs: number, nowMs: number): void {
  for (const days of activeDays) if (lastLoginMs >= nowMs - days * dayMs) add(accountsActive, days, 1);
}

export function addMessage({ messagesCount, messagesBytes }: Report, bytes: number): void {
  for (const least of leastBytes) {
    if (bytes < least) continue;
    add(messagesCount, least, 1);
    add(messagesBytes, least, bytes);
  }
}

function add(figures: Record<number, number>, key: number, by: number): void {
  figures[key] = (figures[key] ?? 0) + by;
}
