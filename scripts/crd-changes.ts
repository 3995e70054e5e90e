/**
 * What changes from one CustomResourceDefinition to another, and which of it could refuse or lose
 * what people have. Pure.
 */
import type { crdOf, Structural } from "../src/api/crd.ts";
import { unchanged } from "../src/api/rules.ts";
import { type CelRule, celKeyword } from "../src/api/schema.ts";

/**
 * The parts of a CRD that an object or a client can depend on: no descriptions, no messages, no
 * columns.
 */
export interface CrdShape {
  group: string;
  scope: string;
  names: {
    kind: string;
    listKind: string;
    plural: string;
    singular: string;
    shortNames: string[];
    categories: string[];
  };
  versions: {
    name: string;
    served: boolean;
    storage: boolean;
    subresources: string[];
    selectableFields: string[];
    schema: Structural;
  }[];
}

export function shapeOf({ spec }: ReturnType<typeof crdOf>): CrdShape {
  const { group, scope, names, versions } = spec;
  return {
    group,
    scope,
    names,
    versions: versions.map(({ name, served, storage, subresources, selectableFields, schema }) => ({
      name,
      served,
      storage,
      subresources: Object.keys(subresources),
      selectableFields: (selectableFields ?? []).map(({ jsonPath }) => jsonPath),
      schema: withoutWords(schema.openAPIV3Schema),
    })),
  };
}

function withoutWords({ description: _, ...schema }: Structural): Structural {
  const { properties, items, additionalProperties, [celKeyword]: rules } = schema;
  return {
    ...schema,
    ...(properties && {
      properties: Object.fromEntries(Object.entries(properties).map(([name, inner]) => [name, withoutWords(inner)])),
    }),
    ...(items && { items: withoutWords(items) }),
    ...(additionalProperties && { additionalProperties: withoutWords(additionalProperties) }),
    ...(rules && { [celKeyword]: rules.map(({ rule }) => ({ rule }) as CelRule) }),
  };
}

/**
 * Changes that are no additions, each with its place. Empty where every object and every client of
 * the old one fits the new one. `looser`: places where a changed rule takes all that the old one
 * took, which nobody but its author can know.
 */
export function refusedChanges(before: CrdShape, after: CrdShape, looser: readonly string[] = []): string[] {
  const changed = (["group", "scope"] as const).filter((field) => before[field] !== after[field]);
  const { shortNames, categories, ...fixedNames } = before.names;
  const renamed = Object.entries(fixedNames).filter(
    ([field, value]) => after.names[field as keyof typeof fixedNames] !== value,
  );
  return [
    ...changed.map((field) => `${field}: changed`),
    ...renamed.map(([field]) => `names.${field}: changed`),
    ...missing(shortNames, after.names.shortNames).map((name) => `names.shortNames: ${name} is gone`),
    ...missing(categories, after.names.categories).map((name) => `names.categories: ${name} is gone`),
    ...before.versions.flatMap((version) => versionChanges(version, after, looser)),
  ];
}

type Version = CrdShape["versions"][number];

function versionChanges(before: Version, { versions }: CrdShape, looser: readonly string[]): string[] {
  const after = versions.find(({ name }) => name === before.name);
  if (!after) return [`${before.name}: the version is gone`];
  return [
    ...(before.served && !after.served ? [`${before.name}: the version is no longer served`] : []),
    ...(before.storage !== after.storage ? [`${before.name}: storage changed`] : []),
    ...missing(before.subresources, after.subresources).map((name) => `${before.name}: subresource ${name} is gone`),
    ...missing(before.selectableFields, after.selectableFields).map(
      (field) => `${before.name}: ${field} can no longer be selected`,
    ),
    ...schemaChanges(before.schema, after.schema, "", looser),
  ];
}

const lowerBounds = ["minimum", "minLength", "minItems"] as const;
const upperBounds = ["maximum", "maxLength", "maxItems", "maxProperties"] as const;
/** Another value, or a first one, means something else for what is there. */
const fixed = ["type", "default", "x-kubernetes-list-type", "x-kubernetes-list-map-keys"] as const;
/** These may go, and neither come nor change. */
const removable = ["pattern", "format"] as const;

function schemaChanges(before: Structural, after: Structural, path: string, looser: readonly string[]): string[] {
  const differ = (keyword: keyof Structural) => JSON.stringify(before[keyword]) !== JSON.stringify(after[keyword]);
  const tightened = [
    ...lowerBounds.filter((bound) => (after[bound] ?? -Infinity) > (before[bound] ?? -Infinity)),
    ...upperBounds.filter((bound) => (after[bound] ?? Infinity) < (before[bound] ?? Infinity)),
    ...removable.filter((keyword) => after[keyword] !== undefined && differ(keyword)),
  ];
  const choices =
    after.enum === undefined
      ? []
      : before.enum === undefined
        ? ["all but a few values"]
        : missing(before.enum, after.enum);
  const here = [
    ...fixed.filter(differ).map((keyword) => `${keyword} changed`),
    ...tightened.map((keyword) => `${keyword} is narrower`),
    ...choices.map((value) => `${value} is no longer accepted`),
    ...missing(after.required ?? [], before.required ?? []).map((name) => `${name} is required now`),
    ...newRules(before, after, looser.includes(path)).map((rule) => `a rule is new or changed: ${rule}`),
  ].map((text) => `${path || "the object"}: ${text}`);
  return [...here, ...innerChanges(before, after, path, looser)];
}

function innerChanges(before: Structural, after: Structural, path: string, looser: readonly string[]): string[] {
  const fields = Object.entries(before.properties ?? {}).flatMap(([name, field]) => {
    const at = path ? `${path}.${name}` : name;
    const now = after.properties?.[name];
    return now ? schemaChanges(field, now, at, looser) : [`${at}: the field is gone`];
  });
  const parts = (["items", "additionalProperties"] as const).flatMap((part) => {
    const [was, is] = [before[part], after[part]];
    const at = `${path}${part === "items" ? "[]" : ".*"}`;
    if (!was && !is) return [];
    return was && is ? schemaChanges(was, is, at, looser) : [`${at}: ${part} came or went`];
  });
  return [...fields, ...parts];
}

/**
 * Rules that could refuse an object which says nothing of what is new. A looser one stands in the
 * place of one that is gone.
 */
function newRules(before: Structural, after: Structural, areLooser: boolean): string[] {
  const rules = (schema: Structural) => (schema[celKeyword] ?? []).map(({ rule }) => rule);
  const gone = missing(rules(before), rules(after));
  const come = missing(rules(after), rules(before)).filter((rule) => !isAboutNew(rule, before));
  return areLooser && come.length <= gone.length ? [] : come;
}

/**
 * It holds as long as a field that did not exist before is absent, or one is there that had to be.
 */
function isAboutNew(rule: string, before: Structural): boolean {
  return alternatives(rule).some((alternative) => {
    const absent = /^!\(?((?:has\(self[.][\w.]+\)(?: && )?)+)\)?$/.exec(alternative)?.[1];
    const fields = absent ? [...absent.matchAll(/has\(self[.]([\w.]+)\)/g)].map(([, field = ""]) => field) : [];
    const named = [...alternative.matchAll(/\bself[.]([\w.]+)/g)].map(([, field = ""]) => field);
    const present = /^has\(self[.](\w+)\)$/.exec(alternative)?.[1];
    return (
      (present !== undefined && (before.required ?? []).includes(present)) ||
      fields.some((field) => !hasField(before, field)) ||
      named.some((field) => !hasField(before, field) && alternative === unchanged(field, "").rule)
    );
  });
}

/** The parts of `a || b || c`, where no bracket is open. */
function alternatives(rule: string): string[] {
  const parts: string[] = [""];
  let depth = 0;
  for (const [nth, letter] of rule.split("").entries()) {
    if (letter === "(") depth++;
    if (letter === ")") depth--;
    if (depth === 0 && rule.startsWith(" || ", nth)) parts.push("");
    else parts.push((parts.pop() ?? "") + letter);
  }
  return parts.map((part) => part.replace(/^[| ]+/, ""));
}

function hasField(schema: Structural | undefined, field: string): boolean {
  const [name = "", ...rest] = field.split(".");
  const inner = schema?.properties?.[name];
  return inner !== undefined && (rest.length === 0 || hasField(inner, rest.join(".")));
}

const missing = (from: readonly string[], others: readonly string[]): string[] =>
  from.filter((each) => !others.includes(each));
