/**
 * From a spec as a person writes it to the values that the operator goes by. The API server fills
 * in no defaults: a value that it wrote into an object could not be told from one that a person
 * chose, and could never become a better one.
 */
import * as z from "zod";
import type { Issue } from "../lib/issues.ts";
import { innerOf, type JudgedRule, rulesOf, valueAt } from "./rules.ts";

/** Where a value comes from. */
export type Origin = "spec" | "fleet" | "operator configuration" | "built in";

/** Values of which any may be missing. */
export interface Layer {
  from: Exclude<Origin, "built in">;
  /** Of the object that has the values, where there are several such. */
  name?: string;
  values: unknown;
}

export interface Resolution<Spec> {
  spec: Spec;
  /** Of a field by its path with dots; of a list or a map as a whole. */
  originOf(path: string): Origin;
}

/**
 * The values of the first layer that has them, else the built-in ones. Groups of fields are taken
 * together field by field, lists and maps whole. Fields that the schema does not know are ignored:
 * a newer CRD lets them pass. Pure.
 */
export function resolve<Schema extends z.ZodObject>(
  schema: Schema,
  layers: readonly Layer[],
): Resolution<z.output<Schema>> | { issues: Issue[] } {
  const merged = mergedValues(
    schema,
    layers.map(({ values }) => values),
  );
  const layerOf = (path: readonly string[]) => layers.find(({ values }) => valueAt(values, path) !== undefined);
  /** With its name, for a sentence. */
  const saidOf = (path: readonly string[]) => {
    const { from, name } = layerOf(path) ?? { from: "built in" };
    return name === undefined ? from : `${from} ${name}`;
  };
  const parsed = schema.safeParse(merged);
  if (!parsed.success) return { issues: parsed.error.issues.map((issue) => withOrigin(issue, saidOf)) };
  const spec = parsed.data;
  const originOf = (path: string): Origin => layerOf(path.split("."))?.from ?? "built in";

  const issues: Issue[] = [];
  for (const { rule, at } of brokenRules(schema, spec)) {
    const path = [...at, ...rule.fields[0].split(".")];
    if (rule.unused && originOf(path.join(".")) !== "spec") remove(spec, path);
    else issues.push({ path, message: withOrigins(rule, at, spec, saidOf) });
  }
  return issues.length > 0 ? { issues } : { spec, originOf };
}

/** What is wrong with a spec as a person writes it: what the API server refuses. */
export function writtenIssues(schema: z.ZodObject, spec: unknown): Issue[] {
  const unknown = unknownFields(schema, spec).map((path) => ({ path, message: "there is no such field" }));
  const parsed = schema.safeParse(spec);
  if (!parsed.success) return [...parsed.error.issues.map(({ path, message }) => ({ path, message })), ...unknown];
  const broken = [...brokenRules(schema, spec)].map(({ rule: { fields, message }, at }) => ({
    path: [...at, ...fields[0].split(".")],
    message,
  }));
  return [...broken, ...unknown];
}

function mergedValues(schema: z.core.$ZodType, layers: readonly unknown[]): unknown {
  const given = layers.filter((values) => values !== undefined);
  const inner = innerOf(schema);
  if (!(inner instanceof z.ZodObject) || !given.every(isGroup)) return given[0];
  const fields = Object.entries(inner.shape as Record<string, z.core.$ZodType>).flatMap(([name, field]) => {
    const values = given.map((group) => group[name]);
    return values.every((value) => value === undefined) ? [] : [[name, mergedValues(field, values)] as const];
  });
  return Object.fromEntries(fields);
}

type Group = Record<string, unknown>;

const isGroup = (value: unknown): value is Group =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Rules that the values break, with the path of the group. */
function* brokenRules(
  schema: z.core.$ZodType,
  value: unknown,
  at: readonly string[] = [],
): Generator<{ rule: JudgedRule; at: readonly string[] }> {
  const inner = innerOf(schema);
  if (inner instanceof z.ZodArray && Array.isArray(value))
    for (const [nth, item] of value.entries()) yield* brokenRules(inner.element, item, [...at, String(nth)]);
  if (!(inner instanceof z.ZodObject) || !isGroup(value)) return;
  for (const rule of rulesOf(inner))
    if (rule.holds?.(...rule.fields.map((field) => valueAt(value, field.split(".")))) === false) yield { rule, at };
  for (const [name, field] of Object.entries(inner.shape)) yield* brokenRules(field, value[name], [...at, name]);
}

/** A value that the spec does not have itself is not found in it. */
function withOrigin({ path, message }: z.core.$ZodIssue, saidOf: (path: readonly string[]) => string): Issue {
  const origin = saidOf(path.map(String));
  return { path, message: origin === "spec" || origin === "built in" ? message : `${message} (${origin})` };
}

/** The sentence of the rule, and the values where one of them is not the spec's own. */
function withOrigins(
  rule: JudgedRule,
  at: readonly string[],
  spec: unknown,
  saidOf: (path: readonly string[]) => string,
): string {
  const values = rule.fields.flatMap((field) => {
    const path = [...at, ...field.split(".")];
    const value = valueAt(spec, path);
    const origin = saidOf(path);
    return value === undefined ? [] : [{ origin, text: `${field} is ${JSON.stringify(value)} (${origin})` }];
  });
  if (values.every(({ origin }) => origin === "spec")) return rule.message;
  return `${rule.message}: ${values.map(({ text }) => text).join(", ")}`;
}

function remove(spec: unknown, path: readonly string[]): void {
  const name = path.at(-1);
  const group = valueAt(spec, path.slice(0, -1));
  if (name !== undefined && isGroup(group)) delete group[name];
}

/** Paths of the fields that the schema does not know. */
function unknownFields(schema: z.core.$ZodType, value: unknown, at: readonly string[] = []): string[][] {
  const inner = innerOf(schema);
  if (inner instanceof z.ZodArray && Array.isArray(value))
    return value.flatMap((item, nth) => unknownFields(inner.element, item, [...at, String(nth)]));
  if (!(inner instanceof z.ZodObject) || !isGroup(value)) return [];
  const shape = inner.shape as Record<string, z.core.$ZodType>;
  return Object.entries(value).flatMap(([name, field]) => {
    const known = shape[name];
    return known ? unknownFields(known, field, [...at, name]) : [[...at, name]];
  });
}
