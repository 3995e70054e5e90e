/** How the update of a fleet goes. Pure. */
import type { WrittenFleet } from "../../api/chatmail-fleet.ts";
import { harmless, type Paint } from "../text/paint.ts";
import { pairs, table } from "../text/table.ts";

/** What is wrong with it: it has stopped, or goes back. */
export function isStopped({ status }: Pick<WrittenFleet, "status">): boolean {
  const reasons = (status?.conditions ?? []).map(({ reason }) => reason);
  return reasons.some((reason) => reason === "RolloutStopped" || reason === "RolledBack");
}

export function rolloutPage({ metadata, spec, status }: WrittenFleet, paint: Paint): string {
  const { servers = {}, rollout = {}, worst = [] } = status ?? {};
  const { total = 0, updated = 0, waiting = 0, failed = 0 } = servers;
  const facts = pairs([
    ["fleet", metadata.name],
    ["target", rollout.target],
    ["given up", rollout.givenUp],
    ["goes back to", rollout.instead],
    ["wave", rollout.wave ?? (waiting === 0 ? "none: nobody waits" : undefined)],
    ["began", rollout.startTime],
    ["paused", spec.rollout?.paused ? "yes" : undefined],
    ["servers", `${total}: ${updated} updated, ${waiting} wait, ${failed} failed`],
  ]);
  const message = rollout.message ? `\n${harmless(rollout.message)}\n` : "";
  const rows = worst.map(({ name, reason, message: text }) => [name, paint("bad", reason), text].map(harmlessOf));
  const list = rows.length > 0 ? `\n${table(["SERVER", "REASON", "MESSAGE"], rows)}` : "";
  return harmless(facts) + message + list;
}

/** The second is painted, and a reason is a word of ours. */
const harmlessOf = (text: string, at: number) => (at === 1 ? text : harmless(text));

/**
 * The image that a fleet goes back to, as the version that its spec would have: the tag of what
 * most servers that are not updated have. Undefined where there is none.
 */
export function versionBefore(versions: readonly (string | undefined)[], now: string | undefined): string | undefined {
  const counts = new Map<string, number>();
  for (const version of versions)
    if (version !== undefined && version !== now) counts.set(version, (counts.get(version) ?? 0) + 1);
  return [...counts].sort(([one, ofOne], [other, ofOther]) => ofOther - ofOne || (one < other ? -1 : 1))[0]?.[0];
}
