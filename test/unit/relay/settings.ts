/** Builders for tests of the relay: limits, settings and a folder of their own. */
import { mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import type { DomainLimits } from "../../../src/pod/relay-config.ts";
import type { Settings } from "../../../src/relay/config.ts";

export function limits(over: Partial<DomainLimits> = {}): DomainLimits {
  return {
    registration: "Open",
    usernameMinLength: 9,
    usernameMaxLength: 9,
    passwordMinLength: 9,
    sendRatePerMinute: 60,
    sendBurst: 10,
    sendBytesPerMinute: 10 * 2 ** 20,
    sendBytesBurst: 150 * 2 ** 20,
    createRatePerMinute: 120,
    createBurst: 20,
    quotaBytes: 500 * 2 ** 20,
    maxMessageBytes: 30 * 2 ** 20,
    deleteAfterDays: 20,
    deleteLargeAfterDays: 7,
    inactiveAccountsAfterDays: 90,
    refuseNew: { loadPerCoreAbove: 5, memoryBelowBytes: 200 * 2 ** 20, diskBelowBytes: 2 ** 30 },
    ...over,
  };
}

/**
 * Folders under a temporary one; nothing is left to clean but what the system's own rules clean.
 */
export function settings(over: Partial<Settings> = {}): Settings {
  const folder = mkdtempSync(join(tmpdir(), "relay-"));
  mkdirSync(join(folder, "mail"));
  mkdirSync(join(folder, "run"));
  return {
    domains: { "chat.example": limits() },
    dkim: {},
    mailFolder: join(folder, "mail"),
    runFolder: join(folder, "run"),
    logLevel: "error",
    healthPort: 0,
    httpsDeliveryPort: 0,
    probeEveryMs: 0,
    ...over,
  };
}

/** Collects what is logged, as text. */
export function collectingLog() {
  const lines: string[] = [];
  const log = pino({ level: "trace", base: null }, { write: (line: string) => void lines.push(line) });
  return { log, lines };
}
