import { expect, test } from "vitest";
import { z } from "zod";
import { crdOf, type Structural, structuralOf } from "../../../src/api/crd.ts";
import { type Kind, kinds } from "../../../src/api/kinds.ts";
import { referenceOf } from "../../../src/api/reference.ts";
import { madeUpKind } from "../../helpers/a-kind.ts";

const schemaOf = (kind: Kind) => crdOf(kind).spec.versions[0]?.schema.openAPIV3Schema as Structural;

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

const fieldsOf = (kind: Kind) => all(schemaOf(kind));
const ownFieldsOf = (kind: Kind) =>
  fieldsOf(kind).filter(({ path }) => path.startsWith(".spec") || path.startsWith(".status"));
const each = [...kinds, madeUpKind];
const fields = fieldsOf(kinds[0] as Kind);

test.each(each)("$kind: every text, list and map is bounded, so that the cost of CEL rules is known", (kind) => {
  const unbounded = ownFieldsOf(kind).filter(
    ({ schema }) =>
      (schema.type === "string" && !schema.enum && !schema.format && schema.maxLength === undefined) ||
      (schema.type === "array" && schema.maxItems === undefined) ||
      (schema.additionalProperties !== undefined && schema.maxProperties === undefined),
  );
  expect(unbounded.map(({ path }) => path)).toEqual([]);
});

test.each(each)("$kind: every field that is named has a description for kubectl explain", (kind) => {
  const silent = ownFieldsOf(kind).filter(
    ({ path, schema }) => !/[\]*]$/.test(path) && schema.description === undefined,
  );
  expect(silent.map(({ path }) => path)).toEqual([]);
});

test.each(each)("$kind: rules name no field by a word of CEL, which Kubernetes 1.31 does not take", (kind) => {
  const words =
    /\.(true|false|null|in|as|break|const|continue|else|for|function|if|import|let|loop|package|namespace|return|var|void|while)\b/;
  const rules = fieldsOf(kind).flatMap(({ schema }) => schema["x-kubernetes-validations"] ?? []);
  const names = rules.map(({ rule }) => rule.replaceAll(/"(\\.|[^"\\])*"|'[^']*'/g, ""));
  expect(names.length).toBeGreaterThan(0);
  expect(names.filter((rule) => words.test(rule))).toEqual([]);
});

test.each(each)("$kind stays small enough for kubectl apply to keep a copy in an annotation", (kind) => {
  expect(JSON.stringify(crdOf(kind)).length).toBeLessThan(128 * 1024);
});

test("of a second kind, names and descriptions are its own, and a group that both have is the same", () => {
  const crd = crdOf(madeUpKind);
  expect(crd.metadata.name).toBe("chatmailhouses.chatmail.dev");
  expect(crd.spec.names).toMatchObject({ kind: "ChatmailHouse", listKind: "ChatmailHouseList", shortNames: ["cmh"] });
  const groupOf = (kind: Kind) => fieldsOf(kind).find(({ path }) => path === ".spec.network")?.schema;
  expect(groupOf(madeUpKind)).toEqual(groupOf(kinds[0] as Kind));
  const page = referenceOf(madeUpKind);
  expect(page).toMatch(/^# ChatmailHouse$/m);
  expect(page).toContain("`kubectl explain cmh.spec` says the same as this page. The name has at most 20 characters.");
  expect(JSON.stringify(crd) + page).not.toContain('ChatmailServer"');
});

test("kinds differ in all their names", () => {
  for (const names of [
    each.map(({ kind }) => kind),
    each.map(({ plural }) => plural),
    each.flatMap(({ shortNames }) => shortNames),
  ])
    expect(new Set(names).size).toBe(names.length);
});

test.each(each)("$kind: the API server fills in nothing but that nobody has seen the object", (kind) => {
  const filledIn = fieldsOf(kind).filter(({ schema }) => schema.default !== undefined);
  expect(filledIn.map(({ path, schema }) => [path, schema.default])).toEqual([[".status", { observedGeneration: -1 }]]);
});

test.each([
  { path: ".spec.messages.maxSize", says: "Maximum size of a message, such as 30Mi. Built in: 30Mi." },
  { path: ".spec.services.push.enabled", says: / Built in: true\.$/ },
  { path: ".spec.accounts.sendBurst", says: / Built in: 10\.$/ },
  { path: ".spec.accounts.invitesSecretName", says: /^((?!Built in).)*$/ },
])("the description of $path names the built-in value, where there is one", ({ path, says }) => {
  expect(fields.find((each) => each.path === path)?.schema.description).toMatch(says);
});

test("servers can be selected by their domain and by their fleet", () => {
  expect(crdOf(kinds[0] as Kind).spec.versions[0]?.selectableFields).toEqual([
    { jsonPath: ".spec.domain" },
    { jsonPath: ".spec.fleetRef.name" },
  ]);
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

test.each(each)("$kind: no rule repeats more than a thousand times, which Go's expressions refuse", (kind) => {
  const rules = fieldsOf(kind).flatMap(({ path, schema }) =>
    (schema["x-kubernetes-validations"] ?? []).map(({ rule }) => ({ path, rule })),
  );
  const counts = rules.flatMap(({ path, rule }) =>
    [...rule.matchAll(/[{](\d+)(?:,(\d*))?[}]/g)].map(([, low, high]) => ({ path, most: Number(high || low) })),
  );
  expect(counts.length).toBeGreaterThan(0);
  expect(counts.filter(({ most }) => most > 1_000)).toEqual([]);
});
