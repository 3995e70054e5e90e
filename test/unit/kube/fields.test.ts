import { expect, test } from "vitest";
import { hasAll, identityOnly, ownsMoreThan, trimmed } from "../../../src/kube/fields.ts";
import type { KubeObject } from "../../../src/kube/object.ts";

test.each([
  { when: "all is the same", live: { a: 1, b: { c: "x" } }, wanted: { b: { c: "x" } }, same: true },
  { when: "a value differs", live: { a: 1 }, wanted: { a: 2 }, same: false },
  { when: "a field is missing", live: { a: {} }, wanted: { a: { b: 1 } }, same: false },
  { when: "the order of fields differs", live: { a: 1, b: 2 }, wanted: { b: 2, a: 1 }, same: true },
  {
    when: "others added fields and named items",
    live: { items: [{ name: "x", v: 1, d: "default" }, { name: "theirs" }] },
    wanted: { items: [{ name: "x", v: 1 }] },
    same: true,
  },
  {
    when: "items share a name, as DNS records do",
    live: {
      dns: [
        { name: "a.", type: "MX" },
        { name: "a.", type: "TXT" },
      ],
    },
    wanted: {
      dns: [
        { name: "a.", type: "MX" },
        { name: "a.", type: "TXT" },
      ],
    },
    same: true,
  },
  {
    when: "one of the items that share a name differs",
    live: {
      dns: [
        { name: "a.", type: "MX" },
        { name: "a.", type: "TXT" },
      ],
    },
    wanted: {
      dns: [
        { name: "a.", type: "MX" },
        { name: "a.", type: "SRV" },
      ],
    },
    same: false,
  },
  { when: "a named item is gone", live: { items: [{ name: "y" }] }, wanted: { items: [{ name: "x" }] }, same: false },
  { when: "a plain list has more", live: { verbs: ["get", "list"] }, wanted: { verbs: ["get"] }, same: false },
  { when: "a plain list has another order", live: { verbs: ["a", "b"] }, wanted: { verbs: ["b", "a"] }, same: false },
  {
    when: "a plain list of objects is as it was",
    live: { terms: [{ k: "a", d: 1 }] },
    wanted: { terms: [{ k: "a" }] },
    same: true,
  },
  {
    when: "ports got a protocol and a node port",
    live: { ports: [{ name: "smtp", port: 25, protocol: "TCP", nodePort: 30025 }] },
    wanted: { ports: [{ name: "smtp", port: 25 }] },
    same: true,
  },
  { when: "a list is wanted empty now", live: { verbs: ["get"] }, wanted: { verbs: [] }, same: false },
  { when: "a list is empty as wanted", live: { verbs: [] }, wanted: { verbs: [] }, same: true },
  { when: "a wanted object is a text now", live: { a: "x" }, wanted: { a: { b: 1 } }, same: false },
  { when: "the server writes the value another way", live: { cpu: "1" }, wanted: { cpu: "1000m" }, same: false },
])("equal: $same when $when", ({ live, wanted, same }) => {
  expect(hasAll(live, wanted)).toBe(same);
});

/**
 * What server-side apply replaces as a whole has no fields of its own in managedFields: a
 * nodeSelector, a list of a CRD without keys.
 */
test.each([
  { when: "it has one key less", live: { s: { a: "1", b: "2" } }, wanted: { s: { a: "1" } }, same: false },
  { when: "it is as it was", live: { s: { a: "1", b: "2" } }, wanted: { s: { b: "2", a: "1" } }, same: true },
  { when: "it is empty now", live: { s: { a: "1" } }, wanted: { s: {} }, same: false },
  {
    when: "the server filled in what it always does",
    live: { s: { apiVersion: "v1", fieldPath: "metadata.name" } },
    wanted: { s: { fieldPath: "metadata.name" } },
    same: true,
  },
  {
    when: "a list has one named item less",
    live: { s: [{ name: "a" }, { name: "b" }] },
    wanted: { s: [{ name: "a" }] },
    same: false,
  },
  {
    when: "a list of named items has another order",
    live: { s: [{ name: "a" }, { name: "b" }] },
    wanted: { s: [{ name: "b" }, { name: "a" }] },
    same: false,
  },
  {
    when: "a selector within a list has one key less",
    live: { s: [{ match: { a: "1", b: "2" } }] },
    wanted: { s: [{ match: { a: "1" } }] },
    same: false,
  },
  {
    when: "a port within a list got its protocol",
    live: { s: [{ port: 25, protocol: "TCP" }] },
    wanted: { s: [{ port: 25 }] },
    same: true,
  },
])("owned as a whole, equal: $same when $when", ({ live, wanted, same }) => {
  expect(hasAll(live, wanted, { "f:s": {} })).toBe(same);
});

test("what is owned as a whole is found below named items too", () => {
  const owned = { "f:c": { 'k:{"name":"x"}': { ".": {}, "f:name": {}, "f:select": {} } } };
  const live = { c: [{ name: "theirs" }, { name: "x", select: { a: "1", b: "2" } }] };
  expect(hasAll(live, { c: [{ name: "x", select: { a: "1", b: "2" } }] }, owned)).toBe(true);
  expect(hasAll(live, { c: [{ name: "x", select: { a: "1" } }] }, owned)).toBe(false);
});

/** An object whose fields `manager` owns as in `fieldsV1`. */
function owned(fieldsV1: Record<string, unknown>, manager = "us", operation = "Apply", subresource = ""): KubeObject {
  const managedFields = [{ manager, operation, fieldsV1, ...(subresource && { subresource }) }];
  return { apiVersion: "v1", kind: "X", metadata: { name: "x", managedFields } };
}
const wanted = {
  apiVersion: "v1",
  kind: "X",
  metadata: { name: "x", labels: { app: "a" } },
  spec: { ports: [{ name: "smtp", port: 25 }], finalizers: ["mine"] },
} as KubeObject;

test.each([
  { when: "nothing is known", live: owned({}), more: false },
  {
    when: "all owned fields are still wanted",
    live: owned({
      "f:metadata": { "f:labels": { "f:app": {} } },
      "f:spec": { "f:ports": { 'k:{"port":25,"protocol":"TCP"}': { ".": {}, "f:name": {}, "f:port": {} } } },
    }),
    more: false,
  },
  {
    when: "a label is no longer wanted",
    live: owned({ "f:metadata": { "f:labels": { "f:app": {}, "f:old": {} } } }),
    more: true,
  },
  {
    when: "a port is no longer wanted",
    live: owned({ "f:spec": { "f:ports": { 'k:{"port":80,"protocol":"TCP"}': { ".": {} } } } }),
    more: true,
  },
  {
    when: "a field of a port is no longer wanted",
    live: owned({ "f:spec": { "f:ports": { 'k:{"port":25,"protocol":"TCP"}': { "f:targetPort": {} } } } }),
    more: true,
  },
  {
    when: "a port of the other protocol under the same number is no longer wanted",
    live: owned({ "f:spec": { "f:ports": { 'k:{"port":25,"protocol":"UDP"}': { ".": {} } } } }),
    more: true,
  },
  {
    when: "a value of a set is still wanted",
    live: owned({ "f:spec": { "f:finalizers": { 'v:"mine"': {} } } }),
    more: false,
  },
  {
    when: "a value of a set is no longer wanted",
    live: owned({ "f:spec": { "f:finalizers": { 'v:"other"': {} } } }),
    more: true,
  },
  { when: "another manager owns more", live: owned({ "f:data": { "f:x": {} } }, "kubectl"), more: false },
  { when: "we own more by another operation", live: owned({ "f:data": { "f:x": {} } }, "us", "Update"), more: false },
  {
    when: "we own more of the status",
    live: owned({ "f:status": { "f:x": {} } }, "us", "Apply", "status"),
    more: false,
  },
])("owns more: $more when $when", ({ live, more }) => {
  expect(ownsMoreThan(live, wanted, "us")).toBe(more);
});

test("what others own is not kept", () => {
  const live = owned({ "f:data": {} }, "kubectl");
  live.metadata.managedFields?.push({ manager: "us", operation: "Apply", fieldsV1: {} });
  expect(trimmed(live, "us").metadata.managedFields).toEqual([{ manager: "us", operation: "Apply", fieldsV1: {} }]);
  expect("managedFields" in trimmed(owned({}, "kubectl"), "us").metadata).toBe(false);
});

test("of somebody else's object, no annotation is kept: kubectl puts a copy of all data there", () => {
  const secret: KubeObject = {
    apiVersion: "v1",
    kind: "Secret",
    metadata: {
      name: "theirs",
      namespace: "mail",
      uid: "u",
      resourceVersion: "7",
      annotations: { "kubectl.kubernetes.io/last-applied-configuration": '{"data":{"key":"c2VjcmV0"}}' },
      labels: { team: "a" },
      managedFields: [{ manager: "kubectl", operation: "Update" }],
    },
  };
  expect(identityOnly(secret)).toEqual({
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "theirs", namespace: "mail", uid: "u", resourceVersion: "7" },
  });
});
