/**
 * Whether somebody is working on what is wrong: the conditions Reconciling and Stalled, which tools
 * go by that wait for a resource (kstatus). Never both are True, and neither is where nothing is
 * wrong. Pure.
 */
import type { Condition } from "../../api/chatmail-server.ts";
import { deadlineMs, isStalled, type Reason } from "../../api/reasons.ts";
import type { Problem } from "../problem.ts";

export interface Verdict {
  status: Condition["status"];
  reason: Reason;
  message: string;
}

/**
 * Of the problems in the order in which a person would solve them. What only a person solves is
 * Stalled at once; what should pass by itself is Reconciling until the deadline of its reason.
 * `settled`: why nothing is worked on where nothing is wrong.
 */
export function progressVerdicts(
  problems: readonly Problem[],
  past: { before: readonly Condition[]; generation: number; now: Date },
  settled: Problem,
): { Reconciling: Verdict; Stalled: Verdict } {
  const notStalled = { status: "False", reason: "NotStalled", message: "nothing is blocked" } as const;
  const passing = problems.find(({ reason }) => deadlineMs(reason) !== undefined);
  const stalled = problems.find(({ reason }) => isStalled(reason)) ?? (passing && lateProblem(passing, past));
  if (stalled) {
    const { reason, message } = stalled;
    return { Reconciling: { status: "False", reason, message }, Stalled: { status: "True", reason, message } };
  }
  const is = passing ?? problems[0] ?? settled;
  const { reason, message } = is;
  return { Reconciling: { status: passing ? "True" : "False", reason, message }, Stalled: notStalled };
}

/** The problem in words that say for how long it has lasted, where that is too long. */
function lateProblem(
  { reason, message }: Problem,
  { before, generation, now }: Parameters<typeof progressVerdicts>[1],
): Problem | undefined {
  const limitMs = deadlineMs(reason);
  if (limitMs === undefined) return undefined;
  const was = (type: string) =>
    before.find(
      (each) =>
        each.type === type &&
        each.status === "True" &&
        each.reason === reason &&
        each.observedGeneration === generation,
    );
  const since = was("Reconciling")?.lastTransitionTime;
  const isLate = since !== undefined && now.getTime() - Date.parse(since) >= limitMs;
  if (!isLate && !was("Stalled")) return undefined;
  return { reason, message: `for more than ${limitMs / 60_000} minutes: ${message}` };
}

/**
 * Since when the reason has been the same: a problem has its deadline for itself, and an edit
 * begins anew.
 */
export const countsFrom = ({ type }: Pick<Condition, "type">): "status" | "reason" =>
  type === "Reconciling" ? "reason" : "status";

/** When Reconciling becomes Stalled if nothing changes. */
export function stallsAt(conditions: readonly Condition[] = []): Date | undefined {
  const reconciling = conditions.find(({ type, status }) => type === "Reconciling" && status === "True");
  const limitMs = reconciling && deadlineMs(reconciling.reason as Reason);
  return limitMs === undefined ? undefined : new Date(Date.parse(reconciling?.lastTransitionTime ?? "") + limitMs);
}
