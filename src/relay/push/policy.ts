/**
 * When a push is tried again, and what the push service's answer means (chatmail protocol §14).
 * Pure.
 */

/** One device to wake. */
export interface Pending {
  address: string;
  /** When the message came, Unix time in seconds. */
  startedAt: number;
  /** The device's own, opaque. */
  token: string;
}

/** `gone`: the device will never take one again. */
export type Verdict = "sent" | "gone" | "retry";

/** Of the answers 4xx, those that are about the moment and not about the token. */
const notNow = [408, 421, 425, 429];

/** Undefined: there was no answer. */
export function verdictOf(status: number | undefined): Verdict {
  if (status === 200) return "sent";
  return status !== undefined && status >= 400 && status < 500 && !notNow.includes(status) ? "gone" : "retry";
}

/** Of all tokens that wait, with what else each costs in memory: some 10,000 of today's clients. */
export const maxWaitingBytes = 8 * 2 ** 20;

export const waitingBytes = ({ address, token }: Pending) => address.length + token.length + 256;

/**
 * How many tries run at the same time, by the number of the try: what is late must not keep what is
 * new waiting.
 */
export const workersFor: readonly number[] = [4, 2, 2, 2, 2];

/** After this nobody waits for the message any more: they have looked. */
const longestSeconds = 18_000;

/**
 * When the try with this number (0 is the first) is due, in milliseconds; undefined when there is
 * none any more.
 */
export function dueMs(pending: Pending, attempt: number, nowMs: number): number | undefined {
  if (attempt >= workersFor.length) return undefined;
  const due = attempt === 0 ? nowMs : nowMs + 8 ** attempt * 1000;
  return due > (pending.startedAt + longestSeconds) * 1000 ? undefined : due;
}

/** As a file: three lines. */
export function pendingText({ address, startedAt, token }: Pending): string {
  return `${address}\n${startedAt}\n${token}`;
}

export function parsePending(text: string): Pending | undefined {
  const [address = "", start = "", token = "", ...more] = text.trimEnd().split("\n");
  if (!address.includes("@") || !/^\d{1,12}$/.test(start) || !/^[\x21-\x7e]{1,4096}$/.test(token)) return undefined;
  return more.length > 0 ? undefined : { address, startedAt: Number(start), token };
}
