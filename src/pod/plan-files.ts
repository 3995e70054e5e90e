/**
 * Where plans are found: the given one in the ConfigMap, and on the volume the last one that all
 * programs of the pod have taken.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { messageOf } from "../lib/text.ts";
import { folders, planFile } from "./layout.ts";
import { type Plan, PlanError, parsePlan } from "./plan.ts";

export interface PlanPlaces {
  given: string;
  last: string;
}

export const planPlaces: PlanPlaces = {
  given: `${folders.plan}/${planFile}`,
  last: `${folders.lastPlan}/${planFile}`,
};

export interface GivenPlan {
  text: string;
  hash: string;
  plan: Plan;
}

const noPlan = "there is no plan";

/** Names a plan in reports and in the status. */
export function planHash(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

/** Throws PlanError where there is none to read. */
export function readPlan(path: string): { text: string; hash: string; parse: () => Plan } {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (thrown) {
    const { code } = thrown as { code?: string };
    throw new PlanError(code === "ENOENT" ? noPlan : `the plan can't be read: ${messageOf(thrown)}`);
  }
  return { text, hash: planHash(text), parse: () => parsePlan(text) };
}

/**
 * What `use` makes of the given plan, or of the last one where that can't be used; `problem` says
 * why the given one can't. Throws PlanError where neither can.
 */
export async function withPlan<Used>(
  places: PlanPlaces,
  use: (given: GivenPlan, problem: string | undefined) => Used | Promise<Used>,
): Promise<Used> {
  const problems: string[] = [];
  for (const path of [places.given, places.last]) {
    try {
      const { text, hash, parse } = readPlan(path);
      return await use({ text, hash, plan: parse() }, problems[0]);
    } catch (thrown) {
      if (!(thrown instanceof PlanError)) throw thrown;
      problems.push(thrown.message);
    }
  }
  const [given, last] = problems;
  const earlier = last === noPlan ? "and there is no earlier one" : `nor can the last one: ${last}`;
  throw new PlanError(`the plan can't be used, ${earlier}. It was: ${given}`);
}
