/**
 * Values of a chart as a tree, and what is written from it: values.yaml, values.schema.json and the
 * table of the README. Each value is described in one place.
 */
import { Document, type Pair, type Scalar, visit, YAMLMap } from "yaml";

export type JsonSchema = Record<string, unknown>;

export interface Leaf {
  description: string;
  value: unknown;
  schema: JsonSchema;
}

export interface Group {
  description?: string;
  values: Values;
  /** Names that have to be there. */
  required?: readonly string[];
}

export interface Values {
  [name: string]: Leaf | Group;
}

/** A value, what it is for, and what it may be. */
export const leaf = (description: string, value: unknown, schema: JsonSchema): Leaf => ({ description, value, schema });

export const group = (values: Values, description?: string, required?: readonly string[]): Group => ({
  values,
  ...(description !== undefined && { description }),
  ...(required !== undefined && { required }),
});

const isGroup = (of: Leaf | Group): of is Group => "values" in of;

/** Schemas that several values share. */
export const schemas = {
  text: { type: "string" },
  flag: { type: "boolean" },
  object: { type: "object" },
  texts: { type: "object", additionalProperties: { type: "string" } },
  objects: { type: "array", items: { type: "object" } },
  secretNames: {
    type: "array",
    items: {
      type: "object",
      required: ["name"],
      additionalProperties: false,
      properties: { name: { type: "string", minLength: 1 } },
    },
  },
} as const satisfies Record<string, JsonSchema>;

function builtIn(values: Values): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(values).map(([name, of]) => [name, isGroup(of) ? builtIn(of.values) : of.value]),
  );
}

export function schemaOf(values: Values, required?: readonly string[]): JsonSchema {
  const properties = Object.entries(values).map(([name, of]): [string, JsonSchema] => [
    name,
    isGroup(of)
      ? { ...(of.description && { description: of.description }), ...schemaOf(of.values, of.required) }
      : { description: of.description, ...of.schema },
  ]);
  return {
    type: "object",
    additionalProperties: false,
    ...(required && { required }),
    properties: Object.fromEntries(properties),
  };
}

const width = 96;

/** Lines of at most `room` characters. */
function wrapped(text: string, room: number): string {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= room) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines.map((line) => ` ${line}`).join("\n");
}

/** values.yaml, with the description of each value above it. */
export function valuesYaml(values: Values): string {
  const document = new Document(builtIn(values), { aliasDuplicateObjects: false });
  const describe = (map: YAMLMap, of: Values, depth: number) => {
    for (const [index, pair] of map.items.entries()) {
      const { key, value } = pair as Pair<Scalar<string>, YAMLMap>;
      const known = of[key.value];
      if (!known) continue;
      if (known.description) key.commentBefore = wrapped(known.description, width - 2 - 2 * depth);
      if (depth === 0 && index > 0) key.spaceBefore = true;
      if (isGroup(known)) describe(value ?? new YAMLMap(), known.values, depth + 1);
    }
  };
  describe(document.contents as YAMLMap, values, 0);
  // what is empty stands on one line
  visit(document, {
    Collection: (_key, node) => {
      if (node.items.length === 0) node.flow = true;
    },
  });
  return document.toString({ lineWidth: 0 });
}

const cell = (text: string) => text.replaceAll("|", "\\|").replaceAll("\n", " ");

/** Rows of `path`, built-in value and description. */
export function rowsOf(values: Values, prefix = ""): string[] {
  return Object.entries(values).flatMap(([name, of]) => {
    const path = `${prefix}${name}`;
    if (isGroup(of)) return rowsOf(of.values, `${path}.`);
    return [`| \`${path}\` | \`${cell(JSON.stringify(of.value))}\` | ${cell(of.description)} |`];
  });
}

/** Each path of a value that is no group. */
export function pathsOf(values: Values, prefix = ""): string[] {
  return Object.entries(values).flatMap(([name, of]) =>
    isGroup(of) ? pathsOf(of.values, `${prefix}${name}.`) : [`${prefix}${name}`],
  );
}
