/**
 * Mail of domains that the relay no longer serves: a kept volume may hold it, and it is deleted by
 * the same rules.
 */
import { readdirSync } from "node:fs";
import { isIPv6Literal } from "../../api/domain.ts";
import type { DomainLimits } from "../../pod/relay-config.ts";
import type { Domains } from "../domains.ts";

/**
 * Folders of the mail volume that are named like a domain and are none of the served ones, with the
 * longest times of those: whoever takes a domain out of a plan by mistake finds its mail again, and
 * it is not there for ever.
 */
export function leftDomains({ mailFolder, domains }: Domains): Record<string, DomainLimits> {
  const all = Object.values(domains);
  const [first] = all;
  if (!first) return {};
  const most = (field: "quotaBytes" | "deleteAfterDays" | "deleteLargeAfterDays" | "inactiveAccountsAfterDays") =>
    Math.max(...all.map((limits) => limits[field]));
  const limits: DomainLimits = {
    ...first,
    quotaBytes: most("quotaBytes"),
    deleteAfterDays: most("deleteAfterDays"),
    deleteLargeAfterDays: most("deleteLargeAfterDays"),
    inactiveAccountsAfterDays: most("inactiveAccountsAfterDays"),
  };
  const names = readdirSync(mailFolder, { withFileTypes: true })
    // a link may lead out of the volume
    .filter((entry) => entry.isDirectory() && (isName(entry.name) || isIPv6Literal(entry.name)))
    .map(({ name }) => name)
    .filter((name) => !(name in domains));
  return Object.fromEntries(names.map((name) => [name, limits]));
}

/** A DNS name of two labels or more, or an IPv4 address. */
const isName = (text: string) => /^[a-z0-9_][a-z0-9.-]*$/.test(text) && text.includes(".");
