/**
 * What src/kube asks of a real API server, and what that answers: apply, finalizers, fields that
 * can't change, events, metadata watches.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Applier } from "../../src/kube/apply.ts";
import { Cache } from "../../src/kube/cache.ts";
import { type Client, kubeClient } from "../../src/kube/client.ts";
import { EventRecorder } from "../../src/kube/events.ts";
import { conflictsOf, immutableFields } from "../../src/kube/immutable.ts";
import { resources } from "../../src/kube/kinds.ts";
import type { KubeObject, Resource } from "../../src/kube/object.ts";
import { type ApiServer, apiServerIsMissing, startApiServer } from "../helpers/api-server.ts";
import { keptLog } from "../helpers/fake-api-server.ts";
import { patienceMs, until } from "../helpers/until.ts";

const namespace = "default";
const aConfigMap = (name: string, data: Record<string, string>, more: Partial<KubeObject["metadata"]> = {}) =>
  ({ apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace, ...more }, data }) as KubeObject & {
    data: Record<string, string>;
  };
const template = (app: string, image: string) => ({
  metadata: { labels: { app } },
  spec: { restartPolicy: "Always", containers: [{ name: "c", image }] },
});
const aStatefulSet = (serviceName: string) =>
  ({
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    metadata: { name: "s", namespace },
    spec: { serviceName, selector: { matchLabels: { app: "s" } }, template: template("s", "i:1") },
  }) as KubeObject;
const aJob = (image: string) => {
  const pod = template("j", image);
  const spec = { template: { ...pod, spec: { ...pod.spec, restartPolicy: "Never" } } };
  return { apiVersion: "batch/v1", kind: "Job", metadata: { name: "j", namespace }, spec } as KubeObject;
};

const missing = apiServerIsMissing();
if (missing) console.warn(`skipped: ${missing}`);

interface SaidEvent {
  reason: string;
  reportingController: string;
  series?: { count: number };
  regarding: object;
}

describe.skipIf(missing !== undefined)("with a real API server", () => {
  const stopping = new AbortController();
  const { signal } = stopping;
  const log = keptLog();
  let server: ApiServer;
  let client: Client;
  let cache: Cache;
  let us: Applier;
  const writes = () =>
    ["apply", "create", "update", "patch", "delete"].reduce((sum, verb) => sum + client.requests.total({ verb }), 0);
  const live = (resource: Resource, name: string) => client.get(resource, { namespace, name }, signal);

  beforeAll(async () => {
    server = await startApiServer();
    client = kubeClient(server.credentials(), { userAgent: "test" });
    cache = new Cache({ client, log, signal });
    us = new Applier({ client, fieldManager: "us" });
  });
  afterAll(async () => {
    stopping.abort();
    await cache?.ended;
    client?.close();
    await server?.stop();
  });

  test("an object is sent once, again when somebody changed it, and when a field is no longer wanted", async () => {
    const store = cache.store(resources.configMap, { labelSelector: "test=apply" });
    await store.whenFilled(signal);
    const labels = { test: "apply" };
    const apply = async (data: Record<string, string>, by = us) =>
      (await by.apply(resources.configMap, aConfigMap("applied", data, { labels }), { store, signal })).sent;
    expect(await apply({ a: "1", b: "2" })).toBe(true);
    expect(await apply({ a: "1", b: "2" })).toBe(false);
    await server.request(
      "PATCH",
      `/api/v1/namespaces/${namespace}/configmaps/applied`,
      { data: { a: "x", theirs: "t" } },
      "application/merge-patch+json",
    );
    await until(
      "the change",
      () => (store.at(`${namespace}/applied`) as { data?: { a?: string } } | undefined)?.data?.a === "x",
    );
    expect(await apply({ a: "1", b: "2" })).toBe(true);
    // As after a restart: nothing is remembered but what the server keeps.
    const again = new Applier({ client, fieldManager: "us" });
    expect(await apply({ a: "1", b: "2" }, again)).toBe(false);
    expect(await apply({ a: "1" }, again)).toBe(true);
    expect((await live(resources.configMap, "applied")) as object).toMatchObject({ data: { a: "1", theirs: "t" } });
    expect((store.at(`${namespace}/applied`) as unknown as { data: object }).data).not.toHaveProperty("b");
  });

  test("what is owned as a whole is sent when a key or an item of it is no longer wanted, and at rest not", async () => {
    const resource = resources.statefulSet;
    const wanted = (nodeSelector: Record<string, string>, args: string[]) => {
      const pod = template("whole", "i:1");
      const [container] = pod.spec.containers;
      const valueFrom = { fieldRef: { fieldPath: "metadata.name" } };
      const env = [{ name: "NAME", valueFrom }];
      const sources = [
        { serviceAccountToken: { path: "token" } },
        { downwardAPI: { items: [{ path: "n", ...valueFrom }] } },
      ];
      const volumes = [{ name: "v", projected: { sources } }];
      const spec = { ...pod.spec, nodeSelector, volumes, containers: [{ ...container, env, args }] };
      const claim = {
        metadata: { name: "d" },
        spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
      };
      return {
        apiVersion: "apps/v1",
        kind: "StatefulSet",
        metadata: { name: "whole", namespace },
        spec: {
          serviceName: "whole",
          selector: { matchLabels: { app: "whole" } },
          template: { ...pod, spec },
          volumeClaimTemplates: [claim],
        },
      } as KubeObject;
    };
    // As after a restart: what is known is what the server keeps.
    const sent = async (object: KubeObject) => {
      const known = await live(resource, "whole");
      return (await new Applier({ client, fieldManager: "us" }).apply(resource, object, { live: known, signal })).sent;
    };
    expect(await sent(wanted({ zone: "a", disk: "ssd" }, ["x"]))).toBe(true);
    expect(await sent(wanted({ zone: "a", disk: "ssd" }, ["x"]))).toBe(false);
    expect(await sent(wanted({ zone: "a" }, ["x"]))).toBe(true);
    expect(await sent(wanted({ zone: "a" }, []))).toBe(true);
    expect(await live(resource, "whole")).toMatchObject({
      spec: { template: { spec: { nodeSelector: { zone: "a" } } } },
    });
    expect(JSON.stringify(await live(resource, "whole"))).not.toContain("ssd");
  });

  test("without force another manager's field is a conflict that names both", async () => {
    const them = new Applier({ client, fieldManager: "them" });
    await them.apply(resources.configMap, aConfigMap("contested", { a: "theirs" }), { signal });
    const refused = us.apply(resources.configMap, aConfigMap("contested", { a: "ours" }), { force: false, signal });
    const error = await refused.catch((thrown) => thrown);
    expect(conflictsOf(error)).toEqual([{ manager: "them", field: ".data.a" }]);
  });

  test("our finalizer comes and goes, others stay, and an object that is gone is not made anew by it", async () => {
    const name = "example.org/ours";
    await us.apply(resources.configMap, aConfigMap("final", {}, { finalizers: ["example.org/theirs"] }), { signal });
    const finalizers = async () => (await live(resources.configMap, "final"))?.metadata.finalizers;
    const set = async (present: boolean) => {
      const object = (await live(resources.configMap, "final")) as KubeObject;
      return us.finalizer(resources.configMap, object, { name, present, signal });
    };
    expect(await set(true)).toBe(true);
    expect(await set(true)).toBe(false);
    expect(await finalizers()).toEqual(["example.org/theirs", name]);
    expect(await set(false)).toBe(true);
    expect(await finalizers()).toEqual(["example.org/theirs"]);
    const before = (await live(resources.configMap, "final")) as KubeObject;
    await us.apply(resources.configMap, aConfigMap("final", {}), { signal });
    await client.remove(resources.configMap, before, signal);
    const late = us.finalizer(resources.configMap, before, { name, present: true, signal });
    await expect(late).rejects.toMatchObject({ status: 409 });
    expect(await live(resources.configMap, "final")).toBeUndefined();
  });

  test.each([
    { what: "StatefulSet", resource: resources.statefulSet, first: aStatefulSet("one"), next: aStatefulSet("two") },
    { what: "Job", resource: resources.job, first: aJob("i:1"), next: aJob("i:2") },
  ])(
    "a field of a $what that can't change is recognised, and answered by making it anew",
    async ({ resource, first, next }) => {
      await us.apply(resource, first, { signal });
      const before = await live(resource, first.metadata.name);
      const refused = await us.apply(resource, next, { live: before, signal }).catch((thrown) => thrown);
      expect(immutableFields(refused)?.length).toBeGreaterThan(0);
      const result = await us.apply(resource, next, { live: before, whenImmutable: "remake", signal });
      expect(result).toEqual({ sent: false, remade: true });
      const after = await live(resource, first.metadata.name);
      // Without a garbage collector here, one whose pods are to be left keeps its finalizer.
      expect(after === undefined || after.metadata.deletionTimestamp !== undefined).toBe(true);
    },
  );

  test("a claim's size that shrinks is refused for good, and never answered by deleting it", async () => {
    const claim = (storageClassName: string) =>
      ({
        apiVersion: "v1",
        kind: "PersistentVolumeClaim",
        metadata: { name: "data", namespace },
        spec: { storageClassName, accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
      }) as KubeObject;
    await us.apply(resources.volumeClaim, claim("a"), { signal });
    const before = await live(resources.volumeClaim, "data");
    const refused = await us
      .apply(resources.volumeClaim, claim("b"), { live: before, whenImmutable: "remake", signal })
      .catch((thrown) => thrown);
    expect(immutableFields(refused)).toBeDefined();
    expect((await live(resources.volumeClaim, "data"))?.metadata.uid).toBe(before?.metadata.uid);
  });

  test("prune takes what is the owner's, carries the label and is no longer wanted; nothing else", async () => {
    const owner = (uid: string) => ({ apiVersion: "v1", kind: "Pod", name: "o", uid, controller: true });
    const labels = { test: "prune" };
    const make = (name: string, more: Partial<KubeObject["metadata"]>) =>
      client.create(resources.configMap, aConfigMap(name, {}, more), signal);
    const seen = [
      await make("kept", { labels, ownerReferences: [owner("u1")] }),
      await make("old", { labels, ownerReferences: [owner("u1")] }),
      await make("unlabelled", { ownerReferences: [owner("u1")] }),
      await make("others", { labels, ownerReferences: [owner("u2")] }),
      await make("nobodys", { labels }),
    ];
    const label = { name: "test", value: "prune" };
    const wanted = seen.slice(0, 1);
    const gone = await us.prune(resources.configMap, { seen, owner: { uid: "u1" }, label, wanted, signal });
    expect(gone.map(({ metadata }) => metadata.name)).toEqual(["old"]);
    expect(await live(resources.configMap, "old")).toBeUndefined();
    for (const name of ["kept", "unlabelled", "others", "nobodys"])
      expect(await live(resources.configMap, name), name).toBeDefined();
  });

  test("an event is made once, and counted when it is said again", async () => {
    const recorder = new EventRecorder({ client, component: "example.org/us", instance: "pod-1", log });
    const about = (await live(resources.configMap, "kept")) as KubeObject;
    for (let time = 0; time < 3; time++)
      recorder.note(about, { type: "Warning", reason: "Broken", note: "it is broken" });
    recorder.note(about, { type: "Normal", reason: "Fine", note: "ü".repeat(5_000) });
    const events = async () => {
      const path = "/apis/events.k8s.io/v1/namespaces/default/events";
      const { items } = (await server.request<{ items: SaidEvent[] }>("GET", path)).body;
      return items.filter(({ reportingController }) => reportingController === "example.org/us");
    };
    await expect
      .poll(async () => [(await events()).map(({ reason }) => reason).sort(), recorder.dropped], {
        timeout: patienceMs.client,
      })
      .toEqual([["Broken", "Fine"], 0]);
    await recorder.close();
    const broken = (await events()).find(({ reason }) => reason === "Broken");
    expect(broken).toMatchObject({ series: { count: 3 }, regarding: { kind: "ConfigMap", name: "kept" } });
    expect(recorder.dropped).toBe(0);
  });

  test("a metadata watch brings names and labels, not what is in it; others are left out by their fields", async () => {
    const make = (name: string, type: string) =>
      client.create(
        resources.secret,
        {
          apiVersion: "v1",
          kind: "Secret",
          metadata: { name, namespace },
          type,
          stringData: { a: "secret" },
        },
        signal,
      );
    await make("before", "Opaque");
    const store = cache.store(resources.secret, { metadataOnly: true, fieldSelector: "type!=example.org/big" });
    await store.whenFilled(signal);
    await make("big", "example.org/big");
    await make("after", "Opaque");
    await until("the second", () => store.get(namespace, "after"));
    expect(store.get(namespace, "big")).toBeUndefined();
    for (const name of ["before", "after"]) {
      const { kind, apiVersion, metadata, ...rest } = store.get(namespace, name) as KubeObject;
      expect([kind, apiVersion, metadata.name, rest]).toEqual(["Secret", "v1", name, {}]);
    }
  });

  test("more watches than calls may go at once keep no call waiting", async () => {
    const many = new Cache({ client, log, signal, namespaces: Array.from({ length: 80 }, (_, nth) => `n${nth}`) });
    const store = many.store(resources.configMap);
    await store.whenFilled(signal);
    await until("all watches", () => client.requests.total({ verb: "watch", resource: "configmaps" }) > 80);
    const before = writes();
    await client.get(resources.configMap, { namespace, name: "kept" }, signal);
    expect(writes()).toBe(before);
  });
});
