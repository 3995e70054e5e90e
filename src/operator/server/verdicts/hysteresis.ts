/**
 * Verdicts by figures that change all the time: the words are those of when the threshold was
 * passed.
 */
import type { ChatmailServer, Condition } from "../../../api/chatmail-server.ts";
import type { Problem } from "../../problem.ts";
import type { Level } from "../../tasks/relay-figures.ts";
import type { Seen } from "../seen.ts";

/** What is wrong by the level of a figure; `type`: of the condition that has said so before. */
export function problemByLevel(
  server: ChatmailServer,
  { type, level, problem }: { type: string; level: Level | undefined; problem: Problem },
): Problem | undefined {
  const before = conditionWith(server, type, problem);
  // also while nothing is known: a pod that was replaced has the same volume and the same clients
  if (level !== "alarm") return level === "fine" ? undefined : before;
  return before ?? problem;
}

function conditionWith({ status }: ChatmailServer, type: string, { reason }: Problem): Problem | undefined {
  const before = status?.conditions?.find((each: Condition) => each.type === type);
  return before?.reason === reason ? { reason, message: before.message } : undefined;
}

/** What the relay pod has reported, where it has. */
export const reportOf = ({ relay }: Pick<Seen, "relay">) => (relay && "report" in relay ? relay.report : undefined);
