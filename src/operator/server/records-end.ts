/**
 * What the DNS records of a server that ends have to become before it may go, from what is seen at
 * one moment. Pure.
 */
import type { Problem } from "../problem.ts";
import type { RemovalStatus, WantedRemoval } from "../tasks/dns-removal.ts";

/** A name server that does not take the removal is tried again for so long. */
export const failingWithinMs = 5 * 60_000;
/** Whoever deletes a server and its TSIG Secret together does not put the Secret back. */
export const keyWithinMs = 60_000;
/** Others may remember the MX record for a day; mail then waits with its sender. */
export const routesWithinMs = 10 * 60_000;
/** Also after a restart of the operator: it has tried itself. */
const leastTries = 3;

export interface RecordsEnding {
  part: WantedRemoval["part"];
  /** Undefined until it has been tried. */
  status: RemovalStatus | undefined;
  /** Why it can't be tried. */
  problem?: Problem | undefined;
  /** Since the deletion. */
  sinceMs: number;
  now: Date;
}

export type RecordsStep =
  | { is: "wait"; says: string }
  /** `at`: since when no new mail comes, where mail came by records of ours. */
  | { is: "done"; at?: Date }
  | { is: "givenUp"; why: string };

export function recordsStep({ part, status, problem, sinceMs, now }: RecordsEnding): RecordsStep {
  const what = part === "routes" ? "the MX record" : "the DNS records";
  const notYet = (why: string): RecordsStep => ({ is: "wait", says: `${what} can't be removed yet: ${why}` });
  if (problem) return sinceMs < keyWithinMs ? notYet(problem.message) : { is: "givenUp", why: problem.message };
  if (!status) return { is: "wait", says: `removing ${what}` };
  if (status.is === "failed") {
    const { message } = status.problem;
    const isTried = status.tries >= leastTries && sinceMs >= failingWithinMs;
    return isTried ? { is: "givenUp", why: message } : notYet(message);
  }
  const { routesUntil: until } = status;
  if (part === "all" || !until) return { is: "done" };
  if (until <= now) return { is: "done", at: until };
  // a time that stays: what comes after has its own from then on
  if (sinceMs >= routesWithinMs) return { is: "done", at: new Date(now.getTime() - (sinceMs - routesWithinMs)) };
  const says = `the MX record is removed, and new mail may come until ${until.toISOString()}, when its TTL is over`;
  return { is: "wait", says };
}

/** For an event: what a person has to delete, and why. */
export function leftInZone(domain: string, published: readonly { name: string; type: string }[], why: string): string {
  const names = [...published.map(({ name, type }) => `${type} ${name}`), `TXT _chatmail-owner.${domain}.`];
  return `DNS records of ${domain} are left in the zone (${why.slice(0, 300)}): delete them by hand: ${names.join(", ").slice(0, 500)}`;
}
