import { describe, expect, test } from "vitest";
import { hasAll, ownsMoreThan, trimmed } from "../../../src/kube/fields.ts";
import type { KubeObject } from "../../../src/kube/object.ts";
import { byPlace, type OwnedFields } from "../../../src/kube/owned-fields.ts";

const port = { ".": {}, "f:name": {}, "f:port": {} };

test.each([
  {
    what: "an item of a list is named by its place and its keys",
    owned: { "f:ports": { 'k:{"port":465,"protocol":"TCP"}': port } },
    live: { ports: [{ port: 25 }, { name: "smtps", port: 465, protocol: "TCP" }] },
    kept: { "f:ports": { "@1:port,protocol": port } },
  },
  {
    what: "lists within lists are named so too",
    owned: { "f:c": { 'k:{"name":"x"}': { "f:m": { 'k:{"path":"/a"}': { ".": {} } } } } },
    live: { c: [{ name: "y" }, { name: "x", m: [{ path: "/b" }, { path: "/a" }] }] },
    kept: { "f:c": { "@1:name": { "f:m": { "@1:path": { ".": {} } } } } },
  },
  {
    what: "an item that the list does not have keeps its keys",
    owned: { "f:ports": { 'k:{"port":80}': port } },
    live: { ports: [{ port: 25 }] },
    kept: { "f:ports": { 'k:{"port":80}': port } },
  },
  {
    what: "keys stay where there is no list",
    owned: { "f:ports": { 'k:{"port":80}': port } },
    live: { ports: "none" },
    kept: { "f:ports": { 'k:{"port":80}': port } },
  },
  {
    what: "fields, values and indexes stay what they are",
    owned: { "f:a": { 'v:"x"': {} }, "f:b": { "i:0": { "f:c": {} } } },
    live: { a: ["x"], b: [{ c: 1 }] },
    kept: { "f:a": { 'v:"x"': {} }, "f:b": { "i:0": { "f:c": {} } } },
  },
])("$what", ({ owned, live, kept }) => {
  expect(byPlace(owned, live)).toEqual(kept);
  expect(byPlace(kept, live)).toEqual(kept);
});

describe("what is kept of managedFields says the same", () => {
  const fieldsV1 = (keys: string): OwnedFields => ({
    "f:metadata": { "f:ownerReferences": { 'k:{"uid":"u-1"}': {} } },
    "f:spec": { "f:list": { [keys]: { ".": {}, "f:name": {}, "f:select": {} } } },
  });
  const live = (list: readonly object[], keys: string) =>
    ({
      apiVersion: "v1",
      kind: "X",
      metadata: {
        name: "x",
        ownerReferences: [{ uid: "u-0" }, { uid: "u-1" }],
        managedFields: [{ manager: "us", operation: "Apply", time: "2026-01-01T00:00:00Z", fieldsV1: fieldsV1(keys) }],
      },
      spec: { list },
    }) as unknown as KubeObject;
  const wanted = (list: readonly object[], uid = "u-1") =>
    ({ apiVersion: "v1", kind: "X", metadata: { name: "x", ownerReferences: [{ uid }] }, spec: { list } }) as never;

  const byName = 'k:{"name":"a"}';
  const byPort = 'k:{"port":25,"protocol":"TCP"}';
  const theirs = { name: "theirs", select: { a: "1", b: "2" } };
  test.each([
    { when: "all is wanted", list: [{ name: "a", select: {} }], more: false },
    { when: "the item is in another place", list: [theirs, { name: "a", select: {} }], more: false },
    { when: "the item is not wanted", list: [{ name: "b", select: {} }], more: true },
    { when: "a field of the item is not wanted", list: [{ name: "a" }], more: true },
    { when: "the owner is another one", list: [{ name: "a", select: {} }], uid: "u-2", more: true },
    {
      when: "a port leaves out its protocol",
      keys: byPort,
      has: { name: "a", port: 25, protocol: "TCP", select: {} },
      list: [{ name: "a", port: 25, select: {} }],
      more: false,
    },
    {
      when: "a port has the other protocol",
      keys: byPort,
      has: { name: "a", port: 25, protocol: "TCP", select: {} },
      list: [{ name: "a", port: 25, protocol: "UDP", select: {} }],
      more: true,
    },
  ])("owns more: $more when $when", ({ list, uid, keys = byName, has = { name: "a", select: {} }, more }) => {
    const object = live([theirs, has], keys);
    const kept = trimmed(object, "us");
    expect(JSON.stringify(kept)).not.toContain("k:");
    for (const each of [object, kept, trimmed(kept, "us")])
      expect(ownsMoreThan(each, wanted(list, uid), "us")).toBe(more);
  });

  test("what is owned as a whole is found by its place", () => {
    const has = { name: "a", select: { a: "1", b: "2" } };
    const owned = { "f:list": { "@1:name": { "f:select": {} } } };
    expect(hasAll({ list: [theirs, has] }, { list: [has] }, owned)).toBe(true);
    expect(hasAll({ list: [theirs, has] }, { list: [{ name: "a", select: { a: "1" } }] }, owned)).toBe(false);
    expect(hasAll({ list: [theirs, has] }, { list: [{ name: "theirs", select: { a: "1" } }] }, owned)).toBe(true);
  });
});

test("objects that differ in names alone have equal trees", () => {
  const record = (domain: string) => {
    const fieldsV1 = { "f:records": { [`k:{"name":"${domain}","type":"MX"}`]: { ".": {}, "f:values": {} } } };
    return byPlace(fieldsV1, { records: [{ name: domain, type: "MX", values: [] }] });
  };
  expect(record("one.example")).toEqual(record("two.example"));
});
