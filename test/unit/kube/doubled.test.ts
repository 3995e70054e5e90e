import { expect, test } from "vitest";
import { ApiError } from "../../../src/kube/api-error.ts";
import { doubledLists } from "../../../src/kube/doubled.ts";

const containers = [{ name: "relay", ports: [{ name: "health", containerPort: 9090 }] }];
const wanted = {
  apiVersion: "v1",
  kind: "Any",
  metadata: { name: "nine" },
  spec: { ports: [{ name: "smtp", port: 25 }], template: { spec: { containers } }, type: "ClusterIP" },
};
const refused = (...causes: { reason: string; field?: string }[]) =>
  new ApiError({ status: 422, reason: "Invalid", message: "no", causes });
const twice = (field: string) => ({ reason: "FieldValueDuplicate", field });

test.each([
  {
    when: "a port is there twice",
    error: refused(twice("spec.ports[1].name")),
    patch: { spec: { ports: wanted.spec.ports } },
  },
  {
    when: "lists at two places are refused",
    error: refused(twice("spec.ports[1].name"), twice("spec.template.spec.containers[0].ports[1].name")),
    patch: { spec: { ports: wanted.spec.ports, template: { spec: { containers } } } },
  },
  {
    when: "something else is wrong, too",
    error: refused(twice("spec.ports[1].name"), { reason: "FieldValueInvalid", field: "spec.type" }),
    patch: undefined,
  },
  { when: "the list is none of ours", error: refused(twice("spec.externalIPs[1]")), patch: undefined },
  { when: "it is no list", error: refused(twice("spec.type")), patch: undefined },
  { when: "the field is not named", error: refused({ reason: "FieldValueDuplicate" }), patch: undefined },
  { when: "no cause is given", error: refused(), patch: undefined },
  { when: "it is a conflict", error: new ApiError({ status: 409, reason: "Conflict", message: "" }), patch: undefined },
  { when: "the connection broke", error: new Error("reset"), patch: undefined },
])("$patch when $when", ({ error, patch }) => {
  expect(doubledLists(error, wanted)).toEqual(patch);
});
