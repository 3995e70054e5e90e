import { expect, test } from "vitest";
import { Store } from "../../../src/kube/store.ts";
import { aPod } from "../../helpers/fake-api-server.ts";

const inNamespace = (namespace: string, name: string) => {
  const pod = aPod(name, "1", `${namespace}-${name}`);
  return { ...pod, metadata: { ...pod.metadata, namespace } };
};

test("it is filled when every scope was listed once", () => {
  const store = new Store({ scopes: ["a", "b"] });
  store.replace("a", []);
  expect(store.filled).toBe(false);
  store.replace("b", []);
  expect(store.filled).toBe(true);
});

test("a list of one namespace leaves the others alone", () => {
  const store = new Store({ scopes: ["a", "b"] });
  store.replace("a", [inNamespace("a", "p")]);
  store.replace("b", [inNamespace("b", "p")]);
  store.replace("a", []);
  expect(store.all().map((object) => object.metadata.namespace)).toEqual(["b"]);
});

test("the same version again is no change", () => {
  const store = new Store();
  const heard: string[] = [];
  store.listen(({ type }) => heard.push(type));
  store.put(aPod("p", "1"));
  store.put(aPod("p", "1"));
  store.put(aPod("p", "2"));
  store.remove(aPod("p", "3"));
  store.remove(aPod("p", "3"));
  expect(heard).toEqual(["added", "changed", "deleted"]);
});

test("objects are made smaller before they are kept", () => {
  const store = new Store({ trim: (object) => ({ ...object, kind: "Small" }) });
  store.put(aPod("p", "1"));
  expect(store.get("a", "p")?.kind).toBe("Small");
});
