/**
 * Rules over several fields of a group, and of a field over time. Each is declared once: from it come the CEL that the API server evaluates,
 * the check of zod, and the sentence that both say.
 */
import type { z } from "zod";
import { bytesOf } from "./quantity.ts";
import { type CelRule, cel } from "./schema.ts";

export interface GroupRule<Group> extends CelRule {
  /** The same in TypeScript; absent where the rule is about a change, which only the API server sees. */
  holds?: (group: Group) => boolean;
  /** The field that is named as wrong. */
  path?: string[];
}

/** The group with its rules. A rule of a single field belongs to that field. */
export function withRules<Schema extends z.ZodObject>(
  schema: Schema,
  ...rules: readonly GroupRule<z.output<Schema>>[]
): Schema {
  const checked = rules.reduce<Schema>(
    (sofar, { holds, message, path }) =>
      holds ? sofar.refine((group) => holds(group), { message, ...(path && { path }) }) : sofar,
    schema,
  );
  return checked.meta(cel(...rules.map(({ rule, message, reason }) => ({ rule, message, ...(reason && { reason }) }))));
}

type Numbers<Low extends string, High extends string> = Record<Low | High, number>;

export const notGreater = <Low extends string, High extends string>(
  low: Low,
  high: High,
): GroupRule<Numbers<Low, High>> => ({
  rule: `self.${low} <= self.${high}`,
  message: `${low} must not be greater than ${high}`,
  holds: (group) => group[low] <= group[high],
  path: [low],
});

/** Of a field that may be left out. */
export const smallerSize = <Small extends string, Large extends string>(
  small: Small,
  large: Large,
  message: string,
): GroupRule<{ [Field in Small]?: string | undefined } & { [Field in Large]: string }> => ({
  rule: `!has(self.${small}) || ${bothAreSizes(`self.${small}`, `self.${large}`)} || ${compared(`self.${small}`, `self.${large}`)} < 0`,
  message,
  holds: (group) => {
    const { [small]: given, [large]: most } = group as Record<string, string | undefined>;
    return given === undefined || most === undefined || bytesOfOr0(given) < bytesOfOr0(most);
  },
  path: [small],
});

/** Of two sizes in different groups, by their paths. */
export const sizeNotGreater = (low: readonly string[], high: readonly string[]): GroupRule<object> => {
  const [lower, higher] = [low, high].map((path) => ["self", ...path].join(".")) as [string, string];
  return {
    rule: `${bothAreSizes(lower, higher)} || ${compared(lower, higher)} <= 0`,
    message: `${low.join(".")} must not be greater than ${high.join(".")}`,
    holds: (group) => bytesOfOr0(at(group, low) as string) <= bytesOfOr0(at(group, high) as string),
    path: [...low],
  };
};

/** A field that has to be there for one value of another. */
export const neededWhen = (field: string, union: string, value: string): GroupRule<object> => ({
  rule: `self.${union} != '${value}' || has(self.${field})`,
  message: `${field} is required when ${union} is ${value}`,
  holds: (group) => at(group, [union]) !== value || at(group, field.split(".")) !== undefined,
  path: field.split("."),
});

/** A field that has no meaning but for one value of another. `field` may be one of an inner group. */
export const onlyWhen = (field: string, union: string, value: string): GroupRule<object> => ({
  rule: `self.${union} == '${value}' || !has(self.${field})`,
  message: `${field} is only used when ${union} is ${value}`,
  holds: (group) => at(group, [union]) === value || at(group, field.split(".")) === undefined,
  path: field.split("."),
});

const same = (field: string) =>
  `has(self.${field}) == has(oldSelf.${field}) && (!has(self.${field}) || self.${field} == oldSelf.${field})`;

/** An optional field: a transition rule on itself would not run when it comes or goes. */
export const unchanged = (field: string, message: string): GroupRule<object> => ({ rule: same(field), message });

export const unchangedWhile = (field: string, union: string, value: string): GroupRule<object> => ({
  rule: `self.${union} != '${value}' || oldSelf.${union} != '${value}' || (${same(field)})`,
  message: `${field} can't be changed while ${union} is ${value}`,
});

/** The field at a path; undefined where a group on the way is missing. */
const at = (group: object, path: readonly string[]): unknown =>
  path.reduce<unknown>((inner, name) => (inner as Record<string, unknown> | undefined)?.[name], group);

/** True where one of them is none: its own rule says so. */
const bothAreSizes = (one: string, other: string) => `!isQuantity(${one}) || !isQuantity(${other})`;

const compared = (one: string, other: string) => `quantity(${one}).compareTo(quantity(${other}))`;

/** 0 for text that is no size: the field's own rule has said so already. */
function bytesOfOr0(quantity: string): number {
  try {
    return bytesOf(quantity);
  } catch {
    return 0;
  }
}
