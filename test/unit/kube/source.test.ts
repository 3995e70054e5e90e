import { describe, expect, test } from "vitest";
import type { KubeObject } from "../../../src/kube/object.ts";
import { WorkQueue } from "../../../src/kube/queue.ts";
import { from, fromMapped, fromOwned, type Source } from "../../../src/kube/source.ts";
import { Store } from "../../../src/kube/store.ts";
import { keptLog } from "../../helpers/fake-api-server.ts";

type Meta = Partial<KubeObject["metadata"]>;
const server = (version: string, more: Meta = {}): KubeObject => ({
  apiVersion: "demo.example.org/v1",
  kind: "Greeting",
  metadata: { name: "g", namespace: "a", uid: "u", resourceVersion: version, generation: 1, ...more },
});
const child = (version: string, owner: { kind?: string; apiVersion?: string } = {}): KubeObject => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: {
    name: "c",
    namespace: "a",
    uid: "c",
    resourceVersion: version,
    ownerReferences: [{ apiVersion: "demo.example.org/v1", kind: "Greeting", name: "g", uid: "u", ...owner }],
  },
});

/** Starts a source and gives what it adds from then on. */
function started(source: Source) {
  const queue = new WorkQueue();
  const added: string[] = [];
  const add = queue.add.bind(queue);
  queue.add = (key, priority) => {
    added.push(`${priority} ${key}`);
    add(key, priority);
  };
  const log = keptLog();
  const end = source.start(queue, log);
  return { added, end, log, take: () => added.splice(0) };
}

describe("the objects themselves", () => {
  test("what is there already is swept, an edit goes first, a status is not heard", () => {
    const store = new Store();
    store.put(server("1"));
    const { take } = started(from(store));
    expect(take()).toEqual(["sweep a/g"]);
    store.put(server("2"));
    expect(take()).toEqual([]);
    store.put(server("3", { generation: 2 }));
    expect(take()).toEqual(["edit a/g"]);
  });

  test.each([
    { what: "an annotation", more: { annotations: { a: "b" } } },
    { what: "a label", more: { labels: { a: "b" } } },
    { what: "a finalizer", more: { finalizers: ["x/y"] } },
    { what: "the wish to delete it", more: { deletionTimestamp: "2026-01-01T00:00:00Z" } },
  ])("$what is an edit too", ({ more }) => {
    const store = new Store();
    store.put(server("1"));
    const { take } = started(from(store));
    take();
    store.put(server("2", more));
    expect(take()).toEqual(["edit a/g"]);
  });

  test("a status that we wrote is no news", () => {
    const store = new Store();
    store.put(server("1"));
    const { take } = started(from(store));
    take();
    store.wrote(server("2"));
    store.put(server("2"));
    expect(take()).toEqual([]);
  });

  test("an edit that came just before our status is heard, although the server's answer to us had it first", () => {
    const store = new Store();
    store.put(server("1"));
    const { take } = started(from(store));
    take();
    // 2 is the edit; the watch is late, and our status (3) was written over it.
    store.wrote(server("3", { generation: 2 }));
    expect(take()).toEqual(["edit a/g"]);
  });

  test("a kind without generations is heard at each change, and a deletion always", () => {
    const store = new Store();
    const plain = (version: string) => child(version);
    const { take } = started(from(store));
    store.put(plain("1"));
    store.put(plain("2"));
    store.remove(plain("3"));
    expect(take()).toEqual(["edit a/c", "edit a/c", "edit a/c"]);
  });
});

describe("children", () => {
  const greeting = { group: "demo.example.org", kind: "Greeting" };

  test("are the work of their owner, unless we wrote them", () => {
    const store = new Store();
    const { take } = started(fromOwned(store, greeting));
    store.put(child("1"));
    store.wrote(child("2"));
    store.put(child("2"));
    store.put(child("3"));
    store.remove(child("4"));
    expect(take()).toEqual(["change a/g", "change a/g", "change a/g"]);
  });

  test("are heard when somebody else wrote them just before we did", () => {
    const store = new Store();
    const { take } = started(fromOwned(store, greeting));
    store.put(child("1"));
    take();
    store.wrote(child("3"));
    store.put(child("2"));
    store.put(child("3"));
    expect(take()).toEqual(["change a/g"]);
  });

  test("whose owner reference somebody takes away are the work of the owner that they had", () => {
    const store = new Store();
    const { take } = started(fromOwned(store, greeting));
    store.put(child("1"));
    store.put(child("2", { kind: "Other" }));
    expect(take()).toEqual(["change a/g", "change a/g"]);
  });

  test("of an owner without a namespace are its work too", () => {
    const store = new Store();
    const { take } = started(fromOwned(store, { ...greeting, clusterScoped: true }));
    store.put(child("1"));
    expect(take()).toEqual(["change /g"]);
  });

  test.each([{ kind: "Other" }, { apiVersion: "other.example.org/v1" }, { apiVersion: "v1" }])(
    "of others are not: %j",
    (owner) => {
      const store = new Store();
      const { take } = started(fromOwned(store, greeting));
      store.put(child("1", owner));
      expect(take()).toEqual([]);
    },
  );
});

test("a mapping that throws is logged with its object, and the next change is heard", () => {
  const store = new Store();
  let calls = 0;
  const { take, log } = started(
    fromMapped(store, () => {
      if (++calls === 1) throw new Error("bug");
      return ["a/x"];
    }),
  );
  store.put(child("1"));
  store.put(child("2"));
  expect([take(), log.lines.map(({ message }) => message)]).toEqual([
    ["change a/x"],
    ["owner of the changed object not found"],
  ]);
});

test("what has ended adds nothing more", () => {
  const store = new Store();
  const { take, end } = started(from(store));
  end();
  store.put(child("1"));
  expect(take()).toEqual([]);
});
