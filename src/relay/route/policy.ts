/**
 * Which route a domain's mail takes, and how strictly its servers are verified, from what is known
 * of it. Pure.
 *
 * A route is HTTPS (`POST https://MX/mxdeliv`) or SMTP on port 25. HTTPS is taken only where it was
 * seen to work; every mail that it does not bring through takes SMTP in the same attempt, since
 * Postfix gets both as a list of next hops.
 */
import { backOffMs } from "../../lib/back-off.ts";
import { loopback } from "../../pod/layout.ts";
import { httpsService, unreachedService } from "../../pod/postfix.ts";
import type { DaneFinding } from "./dane.ts";
import { isUnverified } from "./domain.ts";
import type { StsPolicy } from "./sts.ts";

/** What is known of a domain's HTTPS delivery. */
export interface HttpsRoute {
  /**
   * `broken`: it was there and did not work the last time; `unreached`: no answer when it was
   * looked for.
   */
  state: "yes" | "no" | "broken" | "unreached";
  /** MX hosts that have it, in the order they are tried; only for `yes` and `broken`. */
  hosts: readonly string[];
  /**
   * Failures since the last mail that went through; a look that finds the route does not count as
   * one.
   */
  failures: number;
  /** When to look again, in milliseconds since 1970. */
  lookAt: number;
  /**
   * Messages of this size were too large for a server on the way, though not for the relay itself.
   */
  tooLargeBytes?: number;
}

/** What is known of a domain. */
export interface Known {
  https?: HttpsRoute;
  sts?: StsPolicy;
}

const minute = 60_000;
const hour = 60 * minute;

/** How long an answer is good for. */
const lookAgainMs = { yes: 6 * hour, no: 30 * minute } as const;
/** After a failure the route is left for this long, twice as long with each further failure. */
export const restMs = { firstMs: 5000, mostMs: 30 * minute } as const;

/** What a look for `/mxdeliv` found; hosts in MX order. */
export type Finding = { kind: "found"; hosts: readonly string[] } | { kind: "none" } | { kind: "unreached" };

export function afterDiscovery(
  before: HttpsRoute | undefined,
  finding: Finding,
  now: number,
  random = Math.random,
): HttpsRoute {
  // many domains are met in the same minute; spread, they are not looked at in the same minute
  // again
  const soon = (ms: number) => now + Math.round(ms * (0.8 + 0.4 * random()));
  if (finding.kind === "found") {
    const { tooLargeBytes, failures = 0 } = before ?? {};
    const https: HttpsRoute = { state: "yes", hosts: finding.hosts, failures, lookAt: soon(lookAgainMs.yes) };
    return tooLargeBytes === undefined ? https : { ...https, tooLargeBytes };
  }
  if (finding.kind === "none") return { state: "no", hosts: [], failures: 0, lookAt: soon(lookAgainMs.no) };
  const failures = (before?.failures ?? 0) + 1;
  const hosts = before?.hosts ?? [];
  const state = hosts.length > 0 ? "broken" : "unreached";
  return { state, hosts, failures, lookAt: now + backOffMs(failures - 1, restMs, random) };
}

export function afterSuccess(before: HttpsRoute): HttpsRoute {
  return before.failures === 0 ? before : { ...before, failures: 0 };
}

/** A mail could not be handed over. `gone`: the server answers, and has no such route. */
export function afterFailure(
  before: HttpsRoute,
  why: "broken" | "gone" | { tooLargeBytes: number },
  now: number,
  random = Math.random,
): HttpsRoute {
  if (typeof why === "object") {
    return { ...before, tooLargeBytes: Math.min(before.tooLargeBytes ?? Number.POSITIVE_INFINITY, why.tooLargeBytes) };
  }
  if (why === "gone") return afterDiscovery(before, { kind: "none" }, now, random);
  return afterDiscovery(before, { kind: "unreached" }, now, random);
}

export function isDue(https: HttpsRoute | undefined, now: number): boolean {
  return https === undefined || https.lookAt <= now;
}

/**
 * The answer of transport_maps; undefined: Postfix's own way, SMTP. Where no server answered, SMTP
 * has processes of its own: many such domains keep no mail to others waiting (decision 0026).
 */
export function transportFor(destination: string, known: Known | undefined): string | undefined {
  const { state } = known?.https ?? {};
  if (state === "yes") return `${httpsService}:${httpsHop},${destination}`;
  return state === "unreached" ? `${unreachedService}:` : undefined;
}

/** Where Postfix hands over what goes by HTTPS. */
const httpsHop = `[127.0.0.1]:${loopback.httpsDelivery}`;

/** Has no TLS at all (chatmail protocol §8). */
const withoutTls = "nauta.cu";

/**
 * The answer of smtp_tls_policy_maps for a next hop; undefined: not a name that has a policy of its
 * own.
 */
export function tlsPolicyFor(
  nextHop: string,
  { known, dane }: { known: Known | undefined; dane: DaneFinding },
  now: number,
): string | undefined {
  if (nextHop === httpsHop) return "none";
  if (nextHop.startsWith(".")) return undefined;
  if (isUnverified(nextHop)) return "encrypt";
  if (nextHop === withoutTls) return "may";
  // before MTA-STS (RFC 8461 §2). Postfix looks for itself: where the DNS can't say, it keeps the
  // mail and says why
  if (dane !== "absent") return "dane-only";
  const { sts } = known ?? {};
  if (sts === undefined || sts.mode !== "enforce" || sts.until <= now)
    return "verify match=hostname servername=hostname";
  // Postfix spells "any name below" with a dot in front
  const names = sts.mx.map((pattern) => pattern.replace(/^\*\./, "."));
  return `secure match=${names.join(":")} servername=hostname`;
}
