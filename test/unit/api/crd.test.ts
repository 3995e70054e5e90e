import { expect, test } from "vitest";
import { z } from "zod";
import { chatmailServerCrd, type Structural, structuralOf } from "../../../src/api/crd.ts";

const { openAPIV3Schema } = chatmailServerCrd().spec.versions[0]?.schema ?? { openAPIV3Schema: { type: "object" } };

/** Every schema in the tree with its path. */
function all(schema: Structural, path = ""): { path: string; schema: Structural }[] {
  const inner = [
    ...Object.entries(schema.properties ?? {}).map(([name, property]) => ({
      path: `${path}.${name}`,
      schema: property,
    })),
    ...(schema.items ? [{ path: `${path}[]`, schema: schema.items }] : []),
    ...(schema.additionalProperties ? [{ path: `${path}.*`, schema: schema.additionalProperties }] : []),
  ];
  return [{ path, schema }, ...inner.flatMap((each) => all(each.schema, each.path))];
}

const fields = all(openAPIV3Schema);
const ownFields = fields.filter(({ path }) => path.startsWith(".spec") || path.startsWith(".status"));

test("every text, list and map is bounded, so that the cost of CEL rules is known", () => {
  const unbounded = ownFields.filter(
    ({ schema }) =>
      (schema.type === "string" && !schema.enum && !schema.format && schema.maxLength === undefined) ||
      (schema.type === "array" && schema.maxItems === undefined) ||
      (schema.additionalProperties !== undefined && schema.maxProperties === undefined),
  );
  expect(unbounded.map(({ path }) => path)).toEqual([]);
});

test("every field that is named has a description for kubectl explain", () => {
  const silent = ownFields.filter(({ path, schema }) => !/[\]*]$/.test(path) && schema.description === undefined);
  expect(silent.map(({ path }) => path)).toEqual([]);
});

test("it stays small enough for kubectl apply to keep a copy in an annotation", () => {
  expect(JSON.stringify(chatmailServerCrd()).length).toBeLessThan(128 * 1024);
});

test("defaults stand filled in where a rule looks at them", () => {
  const messages = fields.find(({ path }) => path === ".spec.messages");
  expect(messages?.schema.default).toEqual({
    maxSize: "30Mi",
    deleteAfterDays: 20,
    deleteLargeAfterDays: 7,
    inactiveAccountsAfterDays: 90,
  });
});

test("conditions are a map by type", () => {
  const conditions = fields.find(({ path }) => path === ".status.conditions");
  expect(conditions?.schema["x-kubernetes-list-map-keys"]).toEqual(["type"]);
});

test.each([
  {
    when: "shapes are chosen from",
    schema: z.object({ a: z.union([z.string(), z.int()]) }),
    says: /^a: a CRD can't say anyOf/,
  },
  {
    when: "a value is constant",
    schema: z.object({ b: z.object({ c: z.literal("x") }) }),
    says: /^b\.c: a CRD can't say const/,
  },
  { when: "the type is open", schema: z.object({ d: z.any() }), says: /^d: a CRD needs a type/ },
])("refuses a schema in which $when, and says where", ({ schema, says }) => {
  expect(() => structuralOf(schema)).toThrow(says);
});
