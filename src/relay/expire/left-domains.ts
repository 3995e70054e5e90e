/** Mail of domains that the relay no longer serves: a kept volume may hold it, and it is deleted by the same rules. */
import { readdirSync } from "node:fs";
import type { DomainLimits } from "../../pod/relay-config.ts";
import type { Domains } from "../domains.ts";

/** Folders of the mail volume that are named like a domain and are none of the served ones, with the shortest limits of those. */
export function leftDomains({ mailFolder, domains }: Domains): Record<string, DomainLimits> {
  const [limits] = Object.values(domains).sort((a, b) => a.deleteAfterDays - b.deleteAfterDays);
  if (!limits) return {};
  const names = readdirSync(mailFolder, { withFileTypes: true })
    // a link may lead out of the volume
    .filter((entry) => entry.isDirectory() && /^[a-z0-9_][a-z0-9.-]*$/.test(entry.name) && entry.name.includes("."))
    .map(({ name }) => name)
    .filter((name) => !(name in domains));
  return Object.fromEntries(names.map((name) => [name, limits]));
}
