/**
 * The spec of a kind as JSON Schema for Helm: what the CRD says without the rules in CEL, which the
 * API server checks. A misspelt field in a chart's values is refused before anything is installed.
 */
import { crdOf, type Structural } from "../../src/api/crd.ts";
import type { Kind } from "../../src/api/kinds.ts";
import type { JsonSchema } from "./value.ts";

const kept = [
  "type",
  "enum",
  "pattern",
  "minimum",
  "maximum",
  "minLength",
  "maxLength",
  "minItems",
  "maxItems",
  "maxProperties",
] as const;

function plain(structural: Structural): JsonSchema {
  const schema: JsonSchema = {};
  for (const keyword of kept) if (structural[keyword] !== undefined) schema[keyword] = structural[keyword];
  if (structural["x-kubernetes-int-or-string"]) return { type: ["integer", "string"] };
  const { properties, additionalProperties, items, required } = structural;
  if (required) schema.required = required;
  if (items) schema.items = plain(items);
  if (additionalProperties) schema.additionalProperties = plain(additionalProperties);
  if (properties) {
    schema.properties = Object.fromEntries(Object.entries(properties).map(([name, of]) => [name, plain(of)]));
    if (!structural["x-kubernetes-preserve-unknown-fields"]) schema.additionalProperties = false;
  }
  return schema;
}

export function specSchema(kind: Kind): JsonSchema & { properties: Record<string, JsonSchema> } {
  const [version] = crdOf(kind).spec.versions;
  const spec = version?.schema.openAPIV3Schema.properties?.spec;
  if (!spec) throw new Error(`${kind.kind} has no spec`);
  return plain(spec) as ReturnType<typeof specSchema>;
}

/** A part of a spec: nothing is required, and these fields are not known. */
export function partOf(kind: Kind, ...without: readonly string[]): JsonSchema {
  const { required: _, properties, ...schema } = specSchema(kind);
  const left = Object.entries(properties).filter(([name]) => !without.includes(name));
  return { ...schema, properties: Object.fromEntries(left) };
}
