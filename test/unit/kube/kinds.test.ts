import { expect, test } from "vitest";
import { resources, type Service, type StatefulSet } from "../../../src/kube/kinds.ts";
import { pathOf } from "../../../src/kube/object.ts";

const metadata = { name: "nine", namespace: "chatmail" };

// what the compiler refuses is what counts here; `npm run check` fails where it no longer does
test("a misspelt field does not compile, at any depth", () => {
  const service: Service = {
    apiVersion: "v1",
    kind: "Service",
    metadata,
    // @ts-expect-error externalTrafficPolicy
    spec: { externalTraficPolicy: "Local" },
  };
  const statefulSet: StatefulSet = {
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    metadata,
    spec: {
      selector: {},
      template: {
        // @ts-expect-error failureThreshold
        spec: { containers: [{ name: "relay", readinessProbe: { failureTreshold: 3 } }] },
      },
    },
  };
  expect([service.kind, statefulSet.kind]).toEqual(["Service", "StatefulSet"]);
});

test("times are text, as JSON has them", () => {
  const service: Service = {
    apiVersion: "v1",
    kind: "Service",
    metadata: { ...metadata, creationTimestamp: "2026-11-23T12:00:00Z" },
  };
  expect(service.metadata.creationTimestamp).toMatch(/Z$/);
});

test.each([
  { kind: "secret", path: "/api/v1/namespaces/chatmail/secrets/nine" },
  { kind: "statefulSet", path: "/apis/apps/v1/namespaces/chatmail/statefulsets/nine" },
  { kind: "cronJob", path: "/apis/batch/v1/namespaces/chatmail/cronjobs/nine" },
  { kind: "lease", path: "/apis/coordination.k8s.io/v1/namespaces/chatmail/leases/nine" },
  { kind: "networkPolicy", path: "/apis/networking.k8s.io/v1/namespaces/chatmail/networkpolicies/nine" },
] as const)("a $kind is at $path", ({ kind, path }) => {
  expect(pathOf(resources[kind], metadata)).toBe(path);
});
