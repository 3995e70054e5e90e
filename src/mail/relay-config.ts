/**
 * The relay daemon's configuration: `relay.json` in the ConfigMap, written by the operator, read by the daemon and the expiry job.
 * A table of domains from the first day, so that one daemon can answer for many.
 */
import * as z from "zod"; // as a namespace: `{ z }` would bring all of zod into the bundle, 12 MB at rest
import type { ChatmailServerSpec } from "../api/chatmail-server.ts";
import { bytesOf } from "../api/quantity.ts";
import { folders } from "./layout.ts";

const count = z.int().min(0);

/** What one domain allows, in bytes, days and characters. */
export const DomainLimits = z.object({
  registration: z.enum(["Open", "Invite", "Closed"]),
  usernameMinLength: count,
  usernameMaxLength: count,
  passwordMinLength: count,
  sendRatePerMinute: z.int().min(1),
  sendBurst: z.int().min(1),
  quotaBytes: count,
  maxMessageBytes: count,
  deleteAfterDays: z.int().min(1),
  deleteLargeAfterDays: z.int().min(1),
  inactiveAccountsAfterDays: z.int().min(1),
  refuseNew: z.object({ loadPerCoreAbove: z.number(), memoryBelowBytes: count, diskBelowBytes: count }),
});
export type DomainLimits = z.infer<typeof DomainLimits>;

export const RelayConfig = z.object({
  /** By the raw mail domain ("1.2.3.4" for an address literal), lower-case. */
  domains: z.record(z.string(), DomainLimits),
  mailFolder: z.string(),
  runFolder: z.string(),
  logLevel: z.enum(["error", "warn", "info", "debug", "trace"]),
});
export type RelayConfig = z.infer<typeof RelayConfig>;

export function limitsOf(spec: ChatmailServerSpec): DomainLimits {
  const { accounts, messages } = spec;
  return {
    registration: accounts.registration,
    usernameMinLength: accounts.usernameMinLength,
    usernameMaxLength: accounts.usernameMaxLength,
    passwordMinLength: accounts.passwordMinLength,
    sendRatePerMinute: accounts.sendRatePerMinute,
    sendBurst: accounts.sendBurst,
    quotaBytes: bytesOf(accounts.mailboxQuota),
    maxMessageBytes: bytesOf(messages.maxSize),
    deleteAfterDays: messages.deleteAfterDays,
    deleteLargeAfterDays: messages.deleteLargeAfterDays,
    inactiveAccountsAfterDays: messages.inactiveAccountsAfterDays,
    refuseNew: {
      loadPerCoreAbove: accounts.refuseNewAbove.loadPerCore,
      memoryBelowBytes: bytesOf(accounts.refuseNewBelow.memory),
      diskBelowBytes: bytesOf(accounts.refuseNewBelow.disk),
    },
  };
}

export function relayConfig(spec: ChatmailServerSpec): RelayConfig {
  return {
    domains: { [spec.domain]: limitsOf(spec) },
    mailFolder: folders.mail,
    runFolder: folders.run,
    logLevel: "info",
  };
}
