/**
 * One expiry run over all domains: `expire [--dry-run] [--now ISO-DATE]`. Or, for a server that is
 * deleted, `expire --all mail` and `expire --all queue`: all mail goes, by no plan, and accounts
 * stay. Prints one line of JSON with figures and no addresses.
 */
import { accessSync, constants } from "node:fs";
import { parseArgs } from "node:util";
import { pino } from "pino";
import { messageOf } from "../lib/text.ts";
import { folders } from "../pod/layout.ts";
import { readStart } from "../relay/config.ts";
import { eraseMail, eraseQueue, nothingErased } from "../relay/expire/erase.ts";
import { leftDomains } from "../relay/expire/left-domains.ts";
import { leaveSummary } from "../relay/expire/summary.ts";
import { expireDomain, noCounts } from "../relay/expire/walk.ts";

try {
  const { values } = parseArgs({
    options: {
      "dry-run": { type: "boolean", default: false },
      now: { type: "string" },
      all: { type: "string" },
    },
  });
  if (values.all === undefined) await expire(values);
  else erase(values.all);
} catch (thrown) {
  console.error(`expire: ${messageOf(thrown)}`);
  process.exitCode = 1;
}

function erase(what: string): void {
  const counts = nothingErased();
  if (what === "mail") eraseMail(folders.mail, counts);
  else if (what === "queue") eraseQueue(folders.queue, counts);
  else throw new Error(`--all: mail or queue, not ${what}`);
  pino({ base: null }).info({ what, ...counts }, "all deleted");
  if (counts.failures > 0) throw new Error(`${counts.failures} files or folders not deleted`);
}

async function expire(values: { "dry-run": boolean; now?: string | undefined }): Promise<void> {
  const nowMs = values.now === undefined ? Date.now() : Date.parse(values.now);
  if (Number.isNaN(nowMs)) throw new Error(`--now: not an ISO date: ${values.now}`);
  const { settings: config } = await readStart(process.env);
  accessSync(config.mailFolder, constants.R_OK | constants.X_OK);
  const dryRun = values["dry-run"];
  const counts = noCounts();
  const start = performance.now();
  const domains = { ...leftDomains(config), ...config.domains };
  for (const [domain, limits] of Object.entries(domains)) {
    expireDomain(domain, limits, { config: { ...config, domains }, nowMs, dryRun }, counts);
  }
  const seconds = Math.round(performance.now() - start) / 1000;
  if (!dryRun) leaveSummary(counts);
  pino({ base: null }).info({ dryRun, domains: Object.keys(domains).length, ...counts, seconds }, "expiry finished");
}
