/** Addresses on a relay pod: made, as all are, by logging in. */
import { ports } from "../../src/mail/ports.ts";
import { ImapClient } from "./imap-client.ts";
import { randomName } from "./messages.ts";
import type { RelayPod } from "./relay-pod.ts";

/** Of every address that tests make here. */
export const password = "correct horse";

/**
 * For `spec.accounts`: addresses are made however busy the machine is, and however many are made
 * from here.
 */
export const onAnyLoad = {
  refuseNew: { loadPerCoreAbove: 1000 },
  createRatePerMinute: 10_000,
  createBurst: 10_000,
} as const;

/** The same for `accounts` of a domain in a plan. */
export const planOnAnyLoad = { refuseNew: { loadPerCoreAbove: 10_000, memoryBelowBytes: 0, diskBelowBytes: 0 } };

/** Over it: a client makes few. */
export const fewNewAddresses = { createRatePerMinute: 120, createBurst: 20 } as const;

export async function newAccount(pod: Pick<RelayPod, "domain" | "at">): Promise<string> {
  const user = `${randomName(9)}@${pod.domain}`;
  await (await ImapClient.ready(pod.at(ports.imaps), user, password)).logout();
  return user;
}
