/**
 * Rules over several fields of a group, and of a field over time. Each is declared once: from it
 * come the CEL that the API server evaluates, the check of ours, and the sentence that both say.
 * What is left out of a spec breaks no rule: it has a value that the API server does not know. The
 * operator judges the values that it resolves (resolve.ts).
 */
import * as z from "zod";
import { bytesOf } from "./quantity.ts";
import { type CelRule, cel } from "./schema.ts";

export interface GroupRule extends CelRule, JudgedRule {}

/**
 * One that the operator alone judges: the API server is given no new rule that a spec could break
 * which it has taken before.
 */
export interface JudgedRule {
  message: string;
  /** The fields that it is about, as paths in the group with dots. The first is named as wrong. */
  fields: readonly [string, ...string[]];
  /**
   * The same in TypeScript, of the values of `fields`; absent where the rule is about a change,
   * which only the API server sees.
   */
  holds?: (...values: unknown[]) => boolean;
  /** Where it does not hold, the first field has no effect: one that is a default is left out. */
  unused?: true;
}

const ruleTable = z.registry<{ rules: readonly JudgedRule[] }>();

/** The group with its rules. A rule of a single field belongs to that field. */
export function withRules<Schema extends z.ZodObject>(
  schema: Schema,
  ...rules: readonly (GroupRule | JudgedRule)[]
): Schema {
  for (const field of rules.flatMap(({ fields }) => fields))
    if (!hasField(schema, field.split("."))) throw new Error(`a rule names ${field}, which does not exist`);
  const ruled = schema.meta(
    cel(
      ...rules
        .filter((each) => "rule" in each)
        .map(({ rule, fields, message, reason }) => ({
          rule: withReservedNames(rule, fields),
          message,
          ...(reason && { reason }),
        })),
    ),
  );
  ruleTable.add(ruled, { rules });
  return ruled;
}

/** The words of CEL that no field may be called, as Kubernetes has them. */
const reservedWords = new Set(
  "true false null in as break const continue else for function if import let loop package namespace return var void while".split(
    " ",
  ),
);

/**
 * With `__import__` for a field that is called `import`: Kubernetes escapes such names, and 1.31
 * knows them by nothing else.
 */
function withReservedNames(rule: string, fields: readonly string[]): string {
  const names = new Set(fields.flatMap((field) => field.split(".")).filter((name) => reservedWords.has(name)));
  return [...names].reduce((text, name) => text.replaceAll(new RegExp(`\\.${name}\\b`, "g"), `.__${name}__`), rule);
}

export const rulesOf = (schema: z.ZodObject): readonly JudgedRule[] => ruleTable.get(schema)?.rules ?? [];

/** Without what says that a field may be left out. */
export function innerOf(schema: z.core.$ZodType): z.core.$ZodType {
  const isOuter = schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault;
  return isOuter ? innerOf(schema.unwrap()) : schema;
}

function hasField(schema: z.core.$ZodType, [name, ...rest]: readonly string[]): boolean {
  const inner = innerOf(schema);
  if (name === undefined) return true;
  if (!(inner instanceof z.ZodObject)) return false;
  const field = (inner.shape as Record<string, z.core.$ZodType>)[name];
  return field !== undefined && hasField(field, rest);
}

/** The value at a path; undefined where a group on the way is missing. */
export function valueAt(group: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (inner, name) =>
      typeof inner === "object" && inner !== null ? (inner as Record<string, unknown>)[name] : undefined,
    group,
  );
}

export const notGreater = (low: string, high: string): GroupRule => ({
  rule: whenBoth(low, high, `self.${low} <= self.${high}`),
  message: `${low} must not be greater than ${high}`,
  fields: [low, high],
  holds: (less, more) => less === undefined || more === undefined || Number(less) <= Number(more),
});

/** Of fields that say the same in different ways. */
export const atMostOneOf = (fields: readonly [string, string, ...string[]], message: string): GroupRule => {
  const count = fields.map((field) => `(${isThere(field)} ? 1 : 0)`).join(" + ");
  const rule = fields.length === 2 ? fields.map((field) => `!(${isThere(field)})`).join(" || ") : `${count} <= 1`;
  return {
    rule,
    message,
    fields,
    holds: (...values) => values.filter((value) => value !== undefined).length <= 1,
  };
};

/** Of fields of which one has to be there. */
export const atLeastOneOf = (fields: readonly [string, string, ...string[]], message: string): GroupRule => ({
  rule: fields.map((field) => `has(self.${field})`).join(" || "),
  message,
  fields,
  holds: (...values) => values.some((value) => value !== undefined),
});

/** Of a list of groups: only the last may have none of these fields. */
export const onlyLastWithout = (list: string, fields: readonly [string, ...string[]], message: string): GroupRule => {
  const hasOne = (item: string) => fields.map((field) => `has(${item}.${field})`).join(" || ");
  const without = `self.${list}.filter(each, !(${hasOne("each")}))`;
  const isLast = `(${without}.size() == 1 && !(${hasOne(`self.${list}[size(self.${list}) - 1]`)}))`;
  return {
    rule: `!has(self.${list}) || ${without}.size() == 0 || ${isLast}`,
    message,
    fields: [list],
    holds: (items) =>
      !Array.isArray(items) ||
      items.slice(0, -1).every((item: Record<string, unknown>) => fields.some((field) => item[field] !== undefined)),
  };
};

export const smallerSize = (small: string, large: string, message: string): GroupRule => ({
  rule: whenBoth(small, large, `${areNoSizes(small, large)} || ${compared(small, large)} < 0`),
  message,
  fields: [small, large],
  holds: (less, more) => less === undefined || more === undefined || bytesOfOr0(less) < bytesOfOr0(more),
});

/** Of two sizes, also in different groups. */
export const sizeNotGreater = (low: string, high: string): GroupRule => ({
  rule: whenBoth(low, high, `${areNoSizes(low, high)} || ${compared(low, high)} <= 0`),
  message: `${low} must not be greater than ${high}`,
  fields: [low, high],
  holds: (less, more) => less === undefined || more === undefined || bytesOfOr0(less) <= bytesOfOr0(more),
});

/** A field that has to be there for one value of another. */
export const neededWhen = (field: string, union: string, value: string): GroupRule => ({
  rule: `!has(self.${union}) || self.${union} != '${value}' || ${isThere(field)}`,
  message: `${field} is required when ${union} is ${value}`,
  fields: [field, union],
  holds: (given, chosen) => chosen !== value || given !== undefined,
});

/** A boolean that is left out or true. */
export const isTrue = (field: string): GroupRule => ({
  rule: `!has(self.${field}) || self.${field}`,
  message: `${field} must be true, or be left out`,
  fields: [field],
  holds: (given) => given !== false,
});

/** A field that has to be there where a boolean is not true. */
export const neededUnless = (field: string, other: string): GroupRule => ({
  rule: `has(self.${field}) || (has(self.${other}) && self.${other})`,
  message: `${field} is required without ${other}`,
  fields: [field, other],
  holds: (given, without) => without === true || given !== undefined,
});

/**
 * A field that has no meaning but for one value of another, or for some. `builtIn`: the value that
 * the other has where it is left out.
 */
export const onlyWhen = (
  field: string,
  union: string,
  values: string | readonly string[],
  builtIn: string,
): GroupRule => {
  const any = [values].flat();
  const other = `(has(self.${union}) ? self.${union} : '${builtIn}')`;
  const isOne = any.length === 1 ? `== '${any[0]}'` : `in [${any.map((value) => `'${value}'`).join(", ")}]`;
  return {
    rule: `${other} ${isOne} || !(${isThere(field)})`,
    message: `${field} is only used when ${union} is ${any.join(" or ")}`,
    fields: [field, union],
    holds: (given, chosen) => any.some((value) => value === (chosen ?? builtIn)) || given === undefined,
    unused: true,
  };
};

/** A field that has no meaning for one value of another. */
export const unusedWhen = (field: string, union: string, value: string): GroupRule => ({
  rule: `!has(self.${union}) || self.${union} != '${value}' || !(${isThere(field)})`,
  message: `${field} is not used when ${union} is ${value}`,
  fields: [field, union],
  holds: (given, chosen) => chosen !== value || given === undefined,
  unused: true,
});

/**
 * An optional field: a transition rule on itself would not run when it comes or goes, nor one on a
 * group that does.
 */
export const unchanged = (field: string, message: string): GroupRule => ({
  rule: isSame(field),
  message,
  fields: [field],
});

export const unchangedWhile = (field: string, union: string, value: string, builtIn: string): GroupRule => {
  const chosen = (of: string) => `${textAt(of, union, builtIn)} != '${value}'`;
  return {
    rule: `${chosen("self")} || ${chosen("oldSelf")} || ${isSame(field)}`,
    message: `${field} can't be changed while ${union} is ${value}`,
    fields: [field, union],
  };
};

/** CEL: whether each group on the way, and the field, is written. */
function isThere(field: string, of = "self"): string {
  const names = field.split(".");
  return names.map((_, nth) => `has(${[of, ...names.slice(0, nth + 1)].join(".")})`).join(" && ");
}

const whenBoth = (one: string, other: string, rule: string) => `!(${isThere(one)}) || !(${isThere(other)}) || ${rule}`;

const textAt = (of: string, field: string, otherwise = "") =>
  `(${isThere(field, of)} ? ${of}.${field} : '${otherwise}')`;

const isSame = (field: string) => `${textAt("self", field)} == ${textAt("oldSelf", field)}`;

/** True where one of them is none: its own rule says so. */
const areNoSizes = (one: string, other: string) => `!isQuantity(self.${one}) || !isQuantity(self.${other})`;

const compared = (one: string, other: string) => `quantity(self.${one}).compareTo(quantity(self.${other}))`;

/** 0 for what is no size: the field's own rule has said so already. */
function bytesOfOr0(quantity: unknown): number {
  try {
    return bytesOf(String(quantity));
  } catch {
    return 0;
  }
}
