/** How the update of a fleet goes, for its status. Pure. */
import type { ChatmailFleetStatus, WrittenFleet } from "../../api/chatmail-fleet.ts";
import type { Problem } from "../problem.ts";
import { timeText } from "../server/time-text.ts";
import { rollbackFields } from "./rollback.ts";
import type { SeenMember, SeenRollout } from "./seen.ts";

type Counts = NonNullable<ChatmailFleetStatus["servers"]>;

export function rolloutStatus(
  { status }: Pick<WrittenFleet, "status">,
  members: readonly SeenMember[],
  { wanted, rollback, turns }: SeenRollout,
  now: Date,
): NonNullable<ChatmailFleetStatus["rollout"]> {
  const target = rollback?.to ?? wanted;
  const before = status?.rollout?.target === target ? status.rollout.startTime : undefined;
  const isUnderWay = turns.wave !== undefined;
  const startTime = before ?? (isUnderWay ? timeText(now) : undefined);
  const problem = rolloutProblems(members, { wanted, rollback, turns })[0];
  return {
    target,
    ...rollbackFields(rollback),
    ...(turns.wave !== undefined && { wave: turns.wave }),
    ...(startTime !== undefined && { startTime }),
    ...(problem && { message: problem.message }),
  };
}

export const updateCounts = (members: readonly SeenMember[]): Pick<Counts, "updated" | "waiting" | "failed"> => {
  const count = (is: SeenMember["update"]) => members.filter(({ update }) => update === is).length;
  return { updated: count("Updated"), waiting: count("Waiting"), failed: count("Failed") };
};

/** In the order in which a person would put things right. */
export function rolloutProblems(
  members: readonly SeenMember[],
  { wanted, rollback, turns }: SeenRollout,
): (Problem & { needsPerson: boolean })[] {
  const { updated = 0, waiting = 0, failed = 0 } = updateCounts(members);
  const updating = members.filter(({ update }) => update === "Updating").length;
  const problems: (Problem & { needsPerson: boolean })[] = [];
  const progress = `${updated} of ${members.length} servers are updated, ${updating} are being updated, ${waiting} wait`;
  if (rollback)
    problems.push({
      reason: "RolledBack",
      message: `${rollback.from} was given up, because updates to it failed; the servers go back to ${rollback.to}: ${updated} of ${members.length} have it. Set another rollout.version`,
      needsPerson: true,
    });
  if (turns.stopped === "Failures")
    problems.push({
      reason: "RolloutStopped",
      message: `the update to ${rollback?.to ?? wanted} has stopped, because ${failed === 1 ? "1 server" : `${failed} servers`} failed: ${failures(members)}. ${progress}`,
      needsPerson: true,
    });
  else if (turns.stopped === "Paused" && waiting > 0)
    problems.push({ reason: "RolloutPaused", message: `rollout.paused is set: ${progress}`, needsPerson: true });
  else if (turns.wave !== undefined)
    problems.push({ reason: "RollingOut", message: `wave ${turns.wave}: ${progress}`, needsPerson: false });
  return problems;
}

const mostFailures = 3;

/** The first ones, with what they say themselves. */
function failures(members: readonly SeenMember[]): string {
  const failed = members.filter(({ update }) => update === "Failed");
  const said = failed.slice(0, mostFailures).map(({ server: { metadata, status } }) => {
    const about = status?.conditions?.find(({ reason }) => reason === "UpdateFailed");
    return about ? `${metadata.name} (${about.message.slice(0, 300)})` : metadata.name;
  });
  const more = failed.length - mostFailures;
  return [...said, ...(more > 0 ? [`and ${more} more`] : [])].join(", ");
}
