import { expect, test } from "vitest";
import { sharingWith } from "../../../src/kube/sharing.ts";
import { Store } from "../../../src/kube/store.ts";
import { aPod } from "../../helpers/fake-api-server.ts";

const parsed = (text: string) => JSON.parse(text) as unknown;

test.each([
  { value: '{"a":1,"b":{"c":"x"}}', model: '{"a":1,"b":{"c":"x"}}' },
  { value: '{"a":1}', model: '{"a":1,"b":2}' },
  { value: '{"a":1,"b":2}', model: '{"a":1}' },
  { value: '{"b":2,"a":1}', model: '{"a":1,"b":2}' },
  { value: "[1,2,3]", model: "[1,2]" },
  { value: "[1,2]", model: "[1,2,3]" },
  { value: "[]", model: "{}" },
  { value: "{}", model: "[]" },
  { value: '{"0":"a"}', model: '["a"]' },
  { value: '{"a":null}', model: '{"a":{}}' },
  { value: '{"a":{}}', model: '{"a":null}' },
  { value: '{"__proto__":{}}', model: "{}" },
  { value: '{"__proto__":{"a":1}}', model: '{"__proto__":{"a":1},"b":1}' },
  { value: '"a"', model: "{}" },
])("$value beside $model stays what it is", ({ value, model }) => {
  expect(JSON.stringify(sharingWith(parsed(value), undefined))).toBe(value);
  expect(sharingWith(parsed(value), parsed(model))).toStrictEqual(parsed(value));
});

test("parts that are equal are the model's, all others are not", () => {
  const model = { name: "one", template: { ports: [{ port: 25 }, { port: 465 }], image: "a" }, labels: { app: "x" } };
  const value = { name: "two", template: { ports: [{ port: 25 }, { port: 993 }], image: "a" }, labels: { app: "x" } };
  const shared = sharingWith(value, model);
  expect(shared).toStrictEqual(value);
  expect(shared.labels).toBe(model.labels);
  expect(shared.template.ports[0]).toBe(model.template.ports[0]);
  expect(shared.template.ports[1]).not.toBe(model.template.ports[1]);
  expect(sharingWith(structuredClone(model), model)).toBe(model);
});

test("neither the value nor its model is touched", () => {
  const [value, model] = [
    { a: { b: 1 }, c: 2 },
    { a: { b: 1 }, c: 3 },
  ];
  sharingWith(value, model);
  expect([value, model]).toStrictEqual([
    { a: { b: 1 }, c: 2 },
    { a: { b: 1 }, c: 3 },
  ]);
  expect(value.a).not.toBe(model.a);
});

test("a store keeps once what its objects have in common", () => {
  const store = new Store();
  const labelled = (name: string) => {
    const pod = aPod(name, "1", name);
    return { ...pod, metadata: { ...pod.metadata, labels: { app: "relay" } } };
  };
  for (const name of ["a", "b"]) store.put(labelled(name));
  const [one, other] = store.all();
  expect(other?.metadata.name).toBe("b");
  expect(other?.metadata.labels).toBe(one?.metadata.labels);
});

test("each object is compared with the last one that is alike", () => {
  const store = new Store({ alike: ({ metadata: { name } }) => name.replace(/^[^-]*/, "") });
  const annotated = (name: string, role: string) => {
    const pod = aPod(name, "1", name);
    return { ...pod, metadata: { ...pod.metadata, annotations: { role } } };
  };
  for (const server of ["a", "b"]) for (const role of ["plan", "dns"]) store.put(annotated(`${server}-${role}`, role));
  const annotationsOf = (name: string) =>
    store.all().find(({ metadata }) => metadata.name === name)?.metadata.annotations;
  expect(annotationsOf("b-plan")).toBe(annotationsOf("a-plan"));
  expect(annotationsOf("b-dns")).toBe(annotationsOf("a-dns"));
  expect(annotationsOf("b-dns")).toStrictEqual({ role: "dns" });
});
