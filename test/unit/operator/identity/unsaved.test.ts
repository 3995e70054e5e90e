import { expect, test } from "vitest";
import type { KubeObject } from "../../../../src/kube/object.ts";
import type { Store } from "../../../../src/kube/store.ts";
import { UnsavedKeys } from "../../../../src/operator/identity/unsaved.ts";

const of = { uid: "u1", name: "dkim" } as const;

type Listener = Parameters<Store<KubeObject>["listen"]>[0];

/** What was made, how often it was asked for, and the end of its server. */
function setUp() {
  const listeners: Listener[] = [];
  const keys = new UnsavedKeys({
    listen: (listener) => {
      listeners.push(listener);
      return () => undefined;
    },
  });
  const object = { metadata: { uid: "u1", name: "nine" } } as KubeObject;
  const remove = () => {
    for (const each of listeners) each({ type: "deleted", object });
  };
  let made = 0;
  const make = async () => ({ key: `key ${++made}` });
  return { keys, remove, make };
}

test("what was begun is what is given later, and is made once", async () => {
  const { keys, make } = setUp();
  keys.begin(of, make);
  keys.begin(of, make);
  expect(await keys.texts(of, make)).toEqual({ key: "key 1" });
  expect(await keys.texts(of, make)).toEqual({ key: "key 1" });
  keys.forget(of);
  expect(await keys.texts(of, make)).toEqual({ key: "key 2" });
});

test("each server and each name has its own", async () => {
  const { keys, make } = setUp();
  keys.begin(of, make);
  expect(await keys.texts({ uid: "u2", name: "dkim" }, make)).toEqual({ key: "key 2" });
  expect(await keys.texts({ uid: "u1", name: "nextDkim" }, make)).toEqual({ key: "key 3" });
  expect(await keys.texts(of, make)).toEqual({ key: "key 1" });
});

const noEntropy = () => {
  throw new Error("no entropy");
};
test.each([
  ["at once", noEntropy],
  ["later", async () => noEntropy()],
])("what fails %s ends nothing, and is made by who asks", async (_, fail) => {
  const { keys, make } = setUp();
  keys.begin(of, fail);
  await expect(keys.texts(of, make)).rejects.toThrow("no entropy");
  expect(await keys.texts(of, make)).toEqual({ key: "key 1" });
});

test("a server that is deleted meanwhile leaves nothing behind", async () => {
  const { keys, remove, make } = setUp();
  let finish = (_texts: { key: string }) => {};
  keys.begin(of, () => new Promise((resolve) => (finish = resolve)));
  remove();
  finish({ key: "of the deleted one" });
  expect(await keys.texts(of, make)).toEqual({ key: "key 1" });
});
