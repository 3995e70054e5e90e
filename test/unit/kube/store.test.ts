import { describe, expect, test } from "vitest";
import { byLabel, byOwner } from "../../../src/kube/indexes.ts";
import type { KubeObject } from "../../../src/kube/object.ts";
import { Store } from "../../../src/kube/store.ts";
import { aPod, keptLog } from "../../helpers/fake-api-server.ts";
import { seededRandom } from "../../helpers/seeded-random.ts";

const inNamespace = (namespace: string, name: string) => {
  const pod = aPod(name, "1", `${namespace}-${name}`);
  return { ...pod, metadata: { ...pod.metadata, namespace } };
};

/** A store, and what its listeners hear: "added p@1", with "own" where it was our own write. */
function heardFrom(store: Store = new Store()) {
  const heard: string[] = [];
  store.listen(({ type, object, own }) =>
    heard.push(`${own ? "own " : ""}${type} ${object.metadata.name}@${object.metadata.resourceVersion}`),
  );
  return { store, heard };
}

test("it is filled when every scope was listed once, and tells who waits", async () => {
  const store = new Store({ scopes: ["a", "b"] });
  let told = false;
  const waiting = store.whenFilled(new AbortController().signal).then(() => {
    told = true;
  });
  store.replace("a", []);
  await Promise.resolve();
  expect([store.filled, told]).toEqual([false, false]);
  store.replace("b", []);
  await waiting;
  expect(store.filled).toBe(true);
});

test.each([
  { scopes: [""], optional: true, filled: true },
  { scopes: [""], optional: false, filled: false },
  { scopes: ["a", "b"], optional: true, filled: true },
  { scopes: ["a", "b"], optional: false, filled: false },
])("where $scopes may not be listed, it is filled: $filled (optional: $optional)", ({ scopes, optional, filled }) => {
  const store = new Store({ scopes, optional });
  expect(store.filled).toBe(false);
  for (const scope of scopes) store.leaveOut(scope, "the server knows no such kind");
  expect(store.filled).toBe(filled);
  for (const scope of scopes) store.replace(scope, []);
  expect([store.filled, store.leftOut.size]).toEqual([true, 0]);
});

test("who waits for a store is let go when it is stopped", async () => {
  const stopping = new AbortController();
  const waiting = new Store().whenFilled(stopping.signal);
  stopping.abort();
  await waiting;
});

test("a list of one namespace leaves the others alone", () => {
  const store = new Store({ scopes: ["a", "b"] });
  store.replace("a", [inNamespace("a", "p")]);
  store.replace("b", [inNamespace("b", "p")]);
  store.replace("a", []);
  expect(store.all().map((object) => object.metadata.namespace)).toEqual(["b"]);
});

test("the same version again is no change, and an older one none either", () => {
  const { store, heard } = heardFrom();
  for (const version of ["1", "1", "9", "2", "10"]) store.put(aPod("p", version));
  store.remove(aPod("p", "11"));
  store.remove(aPod("p", "11"));
  expect(heard).toEqual(["added p@1", "changed p@9", "changed p@10", "deleted p@10"]);
});

test("objects are made smaller before they are kept, and nobody can change what is kept", () => {
  const store = new Store({ trim: (object) => ({ ...object, kind: "Small" }) });
  store.put({ ...aPod("p", "1"), metadata: { ...aPod("p", "1").metadata, labels: { a: "b" } } });
  const kept = store.at("a/p");
  expect(kept?.kind).toBe("Small");
  expect(() => {
    if (kept?.metadata.labels) kept.metadata.labels.a = "c";
  }).toThrow(TypeError);
});

test("a state that is known is not read again, whoever brings it", () => {
  const read: string[] = [];
  const store = new Store({
    trim: (object) => {
      read.push(`${object.metadata.uid}@${object.metadata.resourceVersion}`);
      return object;
    },
  });
  store.wrote(aPod("p", "1", "first"));
  const kept = store.at("a/p");
  store.put(aPod("p", "1", "first"));
  store.replace("", store.prepared([aPod("p", "1", "first")]), "1");
  expect(store.at("a/p")).toBe(kept);
  store.put(aPod("p", "2", "first"));
  store.put(aPod("p", "2", "second"));
  expect(read).toEqual(["first@1", "first@2", "second@2"]);
});

describe("an object that can't be read", () => {
  const trim = (object: KubeObject) => {
    if (object.metadata.labels?.broken) throw new Error("no such thing");
    return object;
  };
  const broken = (version: string) => ({
    ...aPod("p", version),
    metadata: { ...aPod("p", version).metadata, labels: { broken: "yes" } },
  });

  test("is reported once, what was known of it stays, the others are kept", () => {
    const log = keptLog();
    const store = new Store({ trim, log });
    store.put(aPod("p", "1"));
    store.put(broken("2"));
    store.replace("", [broken("2"), aPod("q", "3")], "3");
    expect([store.at("a/p")?.metadata.resourceVersion, store.size, store.unreadable]).toEqual(["1", 2, 1]);
    expect(log.lines.map(({ level, message }) => `${level}: ${message}`)).toEqual([
      "warn: object can't be read, left as it was",
    ]);
    store.put(aPod("p", "4"));
    expect([store.at("a/p")?.metadata.resourceVersion, store.unreadable]).toEqual(["4", 0]);
  });

  test("is no longer counted when it has gone, also while nobody watched", () => {
    const store = new Store({ trim, log: keptLog() });
    store.put(broken("2"));
    store.replace("", [aPod("q", "3")], "3");
    expect(store.unreadable).toBe(0);
  });

  test.each([undefined, null, {}, { metadata: null }])(
    "is nothing to remove when it is no object at all: %j",
    (nothing) => {
      const store = new Store();
      store.put(aPod("p", "1"));
      store.remove(nothing as unknown as KubeObject);
      expect(store.size).toBe(1);
    },
  );

  test.each([undefined, null, {}, { metadata: null }, { metadata: {} }, { metadata: { name: 7 } }])(
    "is left out when it is no object at all: %j",
    (nothing) => {
      const store = new Store({ log: keptLog() });
      store.put(nothing as unknown as KubeObject);
      store.replace("", [nothing as unknown as KubeObject, aPod("p", "1")], "1");
      expect(store.size).toBe(1);
    },
  );
});

test("a listener that throws harms neither the others nor the store", () => {
  const log = keptLog();
  const store = new Store({ log });
  store.listen(() => {
    throw new Error("bug");
  });
  const { heard } = heardFrom(store);
  store.put(aPod("p", "1"));
  expect([heard, log.lines.map((line) => line.message)]).toEqual([["added p@1"], ["listener failed"]]);
});

test("whoever has ended listening hears nothing more", () => {
  const store = new Store();
  const heard: string[] = [];
  const end = store.listen(({ type }) => heard.push(type));
  store.put(aPod("p", "1"));
  end();
  store.put(aPod("p", "2"));
  expect(heard).toEqual(["added"]);
});

describe("what we wrote", () => {
  test("is known at once, is marked as ours, and is not told again when the watch brings it", () => {
    const { store, heard } = heardFrom();
    store.put(aPod("p", "1"));
    store.wrote(aPod("p", "5"));
    store.put(aPod("p", "1"));
    expect(store.at("a/p")?.metadata.resourceVersion).toBe("5");
    store.put(aPod("p", "5"));
    store.put(aPod("p", "7"));
    expect(heard).toEqual(["added p@1", "own changed p@5", "changed p@7"]);
  });

  test("hides nothing that somebody else wrote just before: the watch brings it late, and it is told as theirs", () => {
    const { store, heard } = heardFrom();
    store.put(aPod("p", "1"));
    store.wrote(aPod("p", "5"));
    store.wrote(aPod("p", "7"));
    store.put(aPod("p", "4"));
    store.put(aPod("p", "5"));
    store.put(aPod("p", "6"));
    store.put(aPod("p", "7"));
    // 5 and 7 are ours; 4 and 6 are not, and what they changed is in what we have already.
    expect(heard).toEqual(["added p@1", "own changed p@5", "own changed p@7", "changed p@7", "changed p@7"]);
  });

  test("is no news again when a broken watch repeats what was before it", () => {
    const { store, heard } = heardFrom();
    store.put(aPod("p", "3"));
    store.wrote(aPod("p", "5"));
    store.put(aPod("p", "2"));
    store.put(aPod("p", "3"));
    expect(heard).toEqual(["added p@3", "own changed p@5"]);
  });

  test("may hide what others wrote when a list comes instead of the watch, so it is told then", () => {
    const { store, heard } = heardFrom();
    store.put(aPod("p", "1"));
    store.wrote(aPod("p", "5"));
    store.replace("", [aPod("p", "5")], "9");
    store.replace("", [aPod("p", "5")], "10");
    expect(heard).toEqual(["added p@1", "own changed p@5", "changed p@5"]);
  });

  test("over an object that we did not know of yet is told as added once its maker is seen", () => {
    const { store, heard } = heardFrom();
    store.replace("", [], "1");
    store.wrote(aPod("p", "5"));
    store.put(aPod("p", "4"));
    store.put(aPod("p", "5"));
    expect(heard).toEqual(["own added p@5", "added p@5"]);
  });

  test("does not come back when the watch has already told that it is gone", () => {
    const { store, heard } = heardFrom();
    store.replace("", [], "1");
    store.put(aPod("p", "5"));
    store.remove(aPod("p", "6"));
    store.wrote(aPod("p", "5"));
    expect([store.size, heard]).toEqual([0, ["added p@5", "deleted p@5"]]);
  });

  test("outlives a list that is older than it, but not a second one", () => {
    const { store } = heardFrom();
    store.replace("", [], "3");
    store.wrote(aPod("p", "5"));
    store.replace("", [], "4");
    expect(store.size).toBe(1);
    store.replace("", [], "4");
    expect(store.size).toBe(0);
  });

  test("gives way to a list that is newer", () => {
    const { store } = heardFrom();
    store.wrote(aPod("p", "5"));
    store.replace("", [], "6");
    expect(store.size).toBe(0);
  });

  test("is not taken away by the deletion of its predecessor", () => {
    const { store } = heardFrom();
    store.put(aPod("p", "1", "first"));
    store.wrote(aPod("p", "5", "second"));
    store.remove(aPod("p", "3", "first"));
    expect(store.at("a/p")?.metadata.uid).toBe("second");
  });
});

test("a list after a restored backup is the truth, although its numbers are lower", () => {
  const { store } = heardFrom();
  store.replace("", [aPod("p", "900"), aPod("gone", "901")], "1000");
  store.replace("", [aPod("p", "12")], "20");
  expect(store.all().map(({ metadata }) => `${metadata.name}@${metadata.resourceVersion}`)).toEqual(["p@12"]);
  store.put(aPod("p", "21"));
  expect(store.at("a/p")?.metadata.resourceVersion).toBe("21");
});

describe("an index", () => {
  const labelled = (name: string, version: string, app: string) => {
    const pod = aPod(name, version);
    return { ...pod, metadata: { ...pod.metadata, labels: { app } } };
  };

  test("follows additions, changes and deletions, and knows what was there before it", () => {
    const store = new Store();
    store.put(labelled("p", "1", "x"));
    const index = byLabel(store, "app");
    const names = (term: string) => index.get(term).map(({ metadata }) => metadata.name);
    store.put(labelled("q", "2", "x"));
    expect(names("a/x")).toEqual(["p", "q"]);
    store.put(labelled("p", "3", "y"));
    expect([names("a/x"), names("a/y")]).toEqual([["q"], ["p"]]);
    store.remove(labelled("q", "4", "x"));
    store.replace("", [], "9");
    expect([names("a/x"), names("a/y")]).toEqual([[], []]);
  });

  test("is right by the time that listeners hear of a change", () => {
    const store = new Store();
    const index = byLabel(store, "app");
    let found = -1;
    store.listen(() => {
      found = index.get("a/x").length;
    });
    store.put(labelled("p", "1", "x"));
    expect(found).toBe(1);
  });

  test("of owners has an object under each of them", () => {
    const store = new Store();
    const owners = byOwner(store);
    const pod = aPod("p", "1");
    const reference = (uid: string) => ({ apiVersion: "v1", kind: "X", name: uid, uid });
    store.put({ ...pod, metadata: { ...pod.metadata, ownerReferences: [reference("u1"), reference("u2")] } });
    expect(["u1", "u2", "u3"].map((uid) => owners.get(uid).length)).toEqual([1, 1, 0]);
  });

  test("leaves out what it can't make a term of", () => {
    const log = keptLog();
    const store = new Store<KubeObject & { spec?: { domain: string } }>({ log });
    store.index(({ spec }) => [(spec as { domain: string }).domain.toLowerCase()]);
    store.put(aPod("p", "1"));
    expect([store.size, log.lines[0]?.message]).toEqual([1, "object can't be indexed"]);
  });
});

test("after random writes and watch events in any order that can happen, the store equals the server, and what others wrote was told", () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = seededRandom(seed);
    const store = new Store();
    const server = new Map<string, KubeObject>();
    const events: { type: "put" | "remove"; object: KubeObject }[] = [];
    const answers: KubeObject[] = [];
    let version = 0;
    /** Of each uid, up to which version it was told that others wrote; and what others wrote. */
    const told = new Map<string, number>();
    const seen = new Set<string>();
    const others: KubeObject[] = [];
    store.listen(({ type, object, own }) => {
      const { uid = "", resourceVersion } = object.metadata;
      seen.add(uid);
      if (!own) told.set(uid, type === "deleted" ? Number.POSITIVE_INFINITY : Number(resourceVersion));
    });
    store.replace("", [], "0");
    for (let step = 0; step < 60; step++) {
      const name = `p${Math.floor(random() * 4)}`;
      const what = random();
      if (what < 0.4) {
        const uid = server.get(name)?.metadata.uid ?? `uid-${version}`;
        const object = aPod(name, String(++version), uid);
        server.set(name, object);
        events.push({ type: "put", object });
        if (random() < 0.5) answers.push(object);
        else others.push(object);
      } else if (what < 0.5 && server.has(name)) {
        const object = aPod(name, String(++version), server.get(name)?.metadata.uid);
        server.delete(name);
        events.push({ type: "remove", object });
      } else if (what < 0.75) {
        const event = events.shift();
        if (event) store[event.type](event.object);
      } else if (what < 0.95) {
        // Answers of two calls may overtake each other, and the watch.
        const [answer] = answers.splice(Math.floor(random() * answers.length), 1);
        if (answer) store.wrote(answer);
      } else {
        events.length = 0;
        store.replace("", [...server.values()], String(version));
      }
    }
    for (const answer of answers) store.wrote(answer);
    for (const { type, object } of events) store[type](object);
    const text = (objects: Iterable<KubeObject>) =>
      [...objects].map(({ metadata: m }) => `${m.name} ${m.uid} ${m.resourceVersion}`).sort();
    expect(text(store.all()), `seed ${seed}`).toEqual(text(server.values()));
    const isMissed = ({ metadata: { uid = "", resourceVersion } }: KubeObject) =>
      seen.has(uid) && (told.get(uid) ?? 0) < Number(resourceVersion);
    expect(text(others.filter(isMissed)), `seed ${seed}`).toEqual([]);
  }
});
