/** From the rollout of a fleet to the policy of the gate. Pure. */
import { Rollout } from "../../api/spec/rollout.ts";
import { issueTexts } from "../../lib/issues.ts";
import type { Problem } from "../problem.ts";
import type { Policy, Wave } from "../rollout/policy.ts";

/**
 * `others`: the waves of the operator's configuration, for a fleet that has none. A rollout that
 * can't be read, as an older CRD may have let it pass, gives nobody a turn.
 */
export function policyOf(written: unknown, others: Pick<Policy, "waves">): Policy {
  const parsed = Rollout.safeParse(written ?? {});
  if (!parsed.success) return { waves: others.waves, gate: "Ready", maxFailures: 1, paused: true };
  const { waves = [], gate, maxFailures, paused } = parsed.data;
  return { waves: waves.length > 0 ? waves.map(waveOf) : others.waves, gate, maxFailures, paused };
}

export function rolloutProblem(written: unknown): Problem | undefined {
  const parsed = Rollout.safeParse(written ?? {});
  if (parsed.success) return undefined;
  return { reason: "SpecInvalid", message: issueTexts(parsed.error, ["spec", "rollout"]) };
}

type Written = NonNullable<Rollout["waves"]>[number];

function waveOf({ name, selector, share, count, maxUnavailable, soakSeconds }: Written): Wave {
  return {
    name,
    ...(selector && { selector }),
    ...(count !== undefined && { count }),
    ...(share !== undefined && { sharePercent: Number(share.replace("%", "")) }),
    maxUnavailable,
    soakSeconds,
  };
}
