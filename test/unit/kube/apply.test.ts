import { afterEach, expect, test } from "vitest";
import { Applier } from "../../../src/kube/apply.ts";
import { type KubeObject, resources } from "../../../src/kube/object.ts";
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

function bound(by: Applier) {
  const apply = (wanted: KubeObject, live: KubeObject | undefined) =>
    by.apply(resources.volumeClaim, wanted, { live, force: true, signal });
  return { apply };
}
