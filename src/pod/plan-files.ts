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

/** Of what was wrong with the given plan and with the last one. */
export function noPlanMessage([given, last]: readonly string[]): string {
  const earlier = last === noPlan ? "and there is no earlier one" : `nor can the last one: ${last}`;
  return `the plan can't be used, ${earlier}. It was: ${given}`;
}

/** To be tried in this order; each throws PlanError where it can't be used. */
export function givenPlans(places: PlanPlaces): (() => GivenPlan)[] {
  return [places.given, places.last].map((path) => () => {
    const { text, hash, parse } = readPlan(path);
    return { text, hash, plan: parse() };
  });
}
