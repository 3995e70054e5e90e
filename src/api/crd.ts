/**
 * From our zod schemas to a CustomResourceDefinition: a structural schema, which is a small and
 * strict part of JSON Schema.
 */
import * as z from "zod";
import type { Kind } from "./kinds.ts";
import { apiVersion, group, version } from "./names.ts";
import { type CelRule, cel, celKeyword } from "./schema.ts";

/** The keywords of JSON Schema that the API server and this project use. */
export interface Structural {
  type?: "string" | "integer" | "number" | "boolean" | "object" | "array";
  description?: string;
  default?: unknown;
  enum?: string[];
  format?: string;
  pattern?: string;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  maxProperties?: number;
  required?: string[];
  properties?: Record<string, Structural>;
  additionalProperties?: Structural;
  items?: Structural;
  [celKeyword]?: CelRule[];
  "x-kubernetes-preserve-unknown-fields"?: true;
  "x-kubernetes-int-or-string"?: true;
  "x-kubernetes-list-type"?: string;
  "x-kubernetes-list-map-keys"?: string[];
}

/** Copied as they are, in this order, which is also the order of the file. */
const keptKeywords = [
  "description",
  "type",
  "default",
  "enum",
  "format",
  "pattern",
  "minimum",
  "maximum",
  "minLength",
  "maxLength",
  "minItems",
  "maxItems",
  "maxProperties",
  "x-kubernetes-preserve-unknown-fields",
  "x-kubernetes-int-or-string",
  "x-kubernetes-list-type",
  "x-kubernetes-list-map-keys",
  celKeyword,
] as const;

const droppedKeywords = ["$schema", "propertyNames", "properties", "required", "items", "additionalProperties"];

/** Throws for a keyword that a structural schema can't hold, such as anyOf, with the path to it. */
function toStructural(schema: Record<string, unknown>, path = ""): Structural {
  if (schema["x-kubernetes-int-or-string"]) return numberOrText(schema, path);
  const known: readonly string[] = [...keptKeywords, ...droppedKeywords];
  const foreign = Object.keys(schema).filter((keyword) => !known.includes(keyword));
  if (foreign.length > 0) throw new Error(`${path || "schema"}: a CRD can't say ${foreign.join(", ")}`);
  if (schema.type === undefined) throw new Error(`${path || "schema"}: a CRD needs a type here`);

  const kept = Object.fromEntries(
    keptKeywords.filter((keyword) => schema[keyword] !== undefined).map((keyword) => [keyword, schema[keyword]]),
  ) as Structural;
  // The API server checks date-time itself, and better than a pattern would.
  if (kept.format !== undefined) delete kept.pattern;

  const properties = schema.properties as Record<string, Record<string, unknown>> | undefined;
  const required = (schema.required as string[] | undefined) ?? [];
  if (required.length > 0) kept.required = required;
  if (properties)
    kept.properties = Object.fromEntries(
      Object.entries(properties).map(([name, inner]) => [name, toStructural(inner, path ? `${path}.${name}` : name)]),
    );
  if (schema.items) kept.items = toStructural(schema.items as Record<string, unknown>, `${path}[]`);
  // `false` is how JSON Schema says "nothing else"; the API server prunes what it does not know
  // anyway.
  if (schema.additionalProperties && !kept["x-kubernetes-preserve-unknown-fields"])
    kept.additionalProperties = toStructural(schema.additionalProperties as Record<string, unknown>, `${path}.*`);
  return kept;
}

/** The one choice that a CRD can say: bounds of the number and form of the text, together. */
function numberOrText({ anyOf, ...schema }: Record<string, unknown>, path: string): Structural {
  const choices = (anyOf as Record<string, unknown>[]).map((each) => toStructural(each, path));
  const { type: _, ...bounds } = Object.assign({}, ...choices) as Structural;
  return { ...bounds, ...(schema as Structural) };
}

/**
 * `default` is the built-in value, which stands in the description alone: the API server fills in
 * nothing.
 */
function published({ default: builtIn, description, ...schema }: Structural): Structural {
  const { properties, items } = schema;
  const isTold = builtIn !== undefined && properties === undefined;
  const told = isTold ? `${description} Built in: ${valueText(builtIn)}.` : description;
  return {
    ...(told !== undefined && { description: told }),
    ...schema,
    ...(properties && {
      properties: Object.fromEntries(Object.entries(properties).map(([name, inner]) => [name, published(inner)])),
    }),
    ...(items && { items: published(items) }),
  };
}

export const valueText = (value: unknown) => (typeof value === "string" ? value : JSON.stringify(value));

export function structuralOf(schema: z.ZodType): Structural {
  return toStructural(z.toJSONSchema(schema, { io: "input", target: "draft-7", reused: "inline" }));
}

export function crdOf(of: Kind) {
  const { kind, plural, singular, shortNames, description, spec, status, name, columns, selectableFields } = of;
  const openAPIV3Schema: Structural = {
    description,
    type: "object",
    required: ["spec"],
    properties: {
      apiVersion: { type: "string", description: apiVersion },
      kind: { type: "string", description: kind },
      metadata: { type: "object" },
      spec: published(structuralOf(spec)),
      // kstatus takes an object whose status says nothing for one that is done
      status: { ...structuralOf(status), default: { observedGeneration: -1 } },
    },
    ...cel({ rule: name.rule, message: name.message }),
  };
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: "Namespaced",
      names: {
        kind,
        listKind: `${kind}List`,
        plural,
        singular,
        shortNames: [...shortNames],
        categories: ["chatmail"],
      },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          subresources: { status: {} },
          ...(selectableFields.length > 0 && {
            selectableFields: selectableFields.map((field) => ({ jsonPath: `.spec.${field}` })),
          }),
          additionalPrinterColumns: columns.map((column) => ({ ...column })),
          schema: { openAPIV3Schema },
        },
      ],
    },
  };
}
