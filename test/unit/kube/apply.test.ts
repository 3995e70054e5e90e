import { afterEach, expect, test } from "vitest";
import { Applier, superfluous } from "../../../src/kube/apply.ts";
import { resources } from "../../../src/kube/kinds.ts";
import type { KubeObject } from "../../../src/kube/object.ts";
import { Store } from "../../../src/kube/store.ts";
import { type FakeApiServer, fakeApiServer } from "../../helpers/fake-api-server.ts";

let server: FakeApiServer;
afterEach(() => server.close());
const signal = new AbortController().signal;

const claim = (storage: string, more: object = {}) =>
  ({
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { name: "c", namespace: "a" },
    spec: { storage, ...more },
  }) as KubeObject;

/** Answers as a server that writes 1000m as 1. */
async function applier() {
  server = await fakeApiServer((request) => {
    const text = JSON.stringify(request.body).replace("1000m", "1");
    return { json: JSON.parse(text) };
  });
  return new Applier({ client: server.client, fieldManager: "us" });
}

test("sends what is new or different, and nothing that is as wanted", async () => {
  const { apply } = bound(await applier());
  expect((await apply(claim("1Gi"), undefined)).sent).toBe(true);
  expect((await apply(claim("1Gi"), claim("1Gi", { volumeName: "v" }))).sent).toBe(false);
  expect((await apply(claim("1Gi"), claim("2Gi"))).sent).toBe(true);
  expect((await apply(claim("2Gi"), claim("1Gi"))).sent).toBe(true);
});

test("a value that the server writes another way is sent once, and again only when someone changed it", async () => {
  const { apply } = bound(await applier());
  expect((await apply(claim("1000m"), undefined)).sent).toBe(true);
  expect((await apply(claim("1000m"), claim("1"))).sent).toBe(false);
  expect((await apply(claim("1000m"), claim("1", { status: "changed by others" }))).sent).toBe(false);
  expect((await apply(claim("1000m"), claim("7"))).sent).toBe(true);
});

test("after a restart a field that we own and no longer want is taken away", async () => {
  const { apply } = bound(await applier());
  const live = claim("1Gi", { old: true });
  live.metadata.managedFields = [
    { manager: "us", operation: "Apply", fieldsV1: { "f:spec": { "f:storage": {}, "f:old": {} } } },
  ];
  expect((await apply(claim("1Gi"), live)).sent).toBe(true);
});

test("after a restart a key of what is owned as a whole is taken away", async () => {
  const { apply } = bound(await applier());
  const live = claim("1Gi", { nodeSelector: { zone: "a", disk: "ssd" } });
  const spec = { "f:storage": {}, "f:nodeSelector": {} };
  live.metadata.managedFields = [{ manager: "us", operation: "Apply", fieldsV1: { "f:spec": spec } }];
  expect((await apply(claim("1Gi", { nodeSelector: { zone: "a", disk: "ssd" } }), live)).sent).toBe(false);
  expect((await apply(claim("1Gi", { nodeSelector: { zone: "a" } }), live)).sent).toBe(true);
});

test("a store of a kind of one's own and an object with its spec need no cast", async () => {
  const us = await applier();
  interface Claim extends KubeObject {
    spec: { storage: string };
  }
  const store = new Store<Claim>();
  const metadata = { name: "c", namespace: "a" };
  const wanted = { apiVersion: "v1", kind: "PersistentVolumeClaim", metadata };
  await us.apply(resources.volumeClaim, { ...wanted, spec: { storage: "1Gi" } }, { store, signal });
  expect(store.at("a/c")?.spec.storage).toBe("1Gi");
});

test("what is remembered of an object goes with it", async () => {
  const us = await applier();
  const store = new Store();
  const apply = async () => (await us.apply(resources.volumeClaim, claim("1000m"), { store, signal })).sent;
  expect(await apply()).toBe(true);
  expect([await apply(), us.remembered]).toEqual([false, 1]);
  store.remove(claim("1"));
  expect(us.remembered).toBe(0);
});

test("a StatefulSet is not deleted for a change that its successor would be refused for as well", async () => {
  server = await fakeApiServer(({ method }) => {
    if (method !== "PATCH") return { json: {} };
    const causes = [
      {
        field: "spec",
        message: "Forbidden: updates to statefulset spec for fields other than 'replicas' are forbidden",
      },
      { field: "spec.replicas", message: "Invalid value: -1: must be greater than or equal to 0" },
    ];
    return { status: 422, json: { reason: "Invalid", message: "invalid", details: { causes } } };
  });
  const us = new Applier({ client: server.client, fieldManager: "us" });
  const live = { ...claim("1Gi"), kind: "StatefulSet" };
  const options = { live, whenImmutable: "remake", signal } as const;
  const change = { ...live, spec: { storage: "2Gi" } } as KubeObject;
  await expect(us.apply(resources.statefulSet, change, options)).rejects.toMatchObject({ status: 422 });
  expect(server.requests.map(({ method }) => method)).toEqual(["PATCH"]);
});

test("what is wanted of another kind under the same name does not keep what is superfluous", () => {
  const owner = { apiVersion: "v1", kind: "Pod", name: "o", uid: "u", controller: true };
  const metadata = { name: "x", namespace: "a", labels: { l: "v" }, ownerReferences: [owner] };
  const seen = [{ apiVersion: "v1", kind: "ConfigMap", metadata }];
  const of = { seen, owner: { uid: "u" }, label: { name: "l", value: "v" } };
  expect(superfluous({ ...of, wanted: [{ apiVersion: "v1", kind: "Service", metadata }] })).toEqual(seen);
  expect(superfluous({ ...of, wanted: [{ apiVersion: "v1", kind: "ConfigMap", metadata }] })).toEqual([]);
});

function bound(by: Applier) {
  const apply = (wanted: KubeObject, live: KubeObject | undefined) =>
    by.apply(resources.volumeClaim, wanted, { live, force: true, signal });
  return { apply };
}
