import { describe, expect, test } from "vitest";
import {
  assignAddresses,
  planRoutes,
  type ServiceView,
  type SliceView,
  serviceKey,
  statusChange,
} from "../../lab/load-balancer-plan.ts";

const aService = (name: string, spec: ServiceView["spec"] = {}, ip?: string): ServiceView => ({
  metadata: { name, namespace: "chatmail" },
  spec: { type: "LoadBalancer", ...spec },
  ...(ip ? { status: { loadBalancer: { ingress: [{ ip }] } } } : {}),
});

const aSlice = (service: string, nodeName: string, ready = true): SliceView => ({
  metadata: { namespace: "chatmail", labels: { "kubernetes.io/service-name": service } },
  endpoints: [{ nodeName, conditions: { ready } }],
});

describe("assignAddresses", () => {
  const addressOf = (services: ServiceView[], name: string) => assignAddresses(services).get(`chatmail/${name}`);

  test("follows from the name, so that a Service made again gets the same", () => {
    const first = addressOf([aService("nine")], "nine");
    expect(first).toMatch(/^203\.0\.113\.([1-9]\d?|1\d\d|2[0-4]\d|25[0-4])$/);
    expect(addressOf([aService("nine"), aService("ten")], "nine")).toBe(first);
  });

  test("is kept by whoever has it", () => {
    expect(addressOf([aService("nine", {}, "203.0.113.200")], "nine")).toBe("203.0.113.200");
  });

  test("goes first to the Service that has it, then to the one that asks for it", () => {
    const services = [aService("a", { loadBalancerIP: "203.0.113.7" }), aService("b", {}, "203.0.113.7")];
    expect(addressOf(services, "b")).toBe("203.0.113.7");
    expect(addressOf(services, "a")).not.toBe("203.0.113.7");
  });

  test("changes to the one that is asked for", () => {
    expect(addressOf([aService("a", { loadBalancerIP: "203.0.113.7" }, "203.0.113.9")], "a")).toBe("203.0.113.7");
  });

  test("is not given twice, even when two Services show the same", () => {
    const given = assignAddresses([aService("a", {}, "203.0.113.7"), aService("b", {}, "203.0.113.7")]);
    expect(new Set(given.values()).size).toBe(2);
  });

  test("is ours only: others' addresses are replaced", () => {
    expect(addressOf([aService("a", {}, "192.0.2.1")], "a")).toMatch(/^203\.0\.113\./);
  });

  test.each([
    { when: "the type is another", spec: { type: "ClusterIP" } },
    { when: "a class names another implementation", spec: { loadBalancerClass: "example.org/other" } },
  ])("is not given when $when", ({ spec }) => {
    expect(addressOf([aService("a", spec)], "a")).toBeUndefined();
  });

  test("254 Services all get one, the 255th none", () => {
    const many = Array.from({ length: 255 }, (_, index) => aService(`s${index}`));
    expect(new Set(assignAddresses(many).values()).size).toBe(254);
  });
});

test.each([
  { when: "it is new", has: undefined, assigned: "203.0.113.5", change: "203.0.113.5" },
  { when: "nothing changes", has: "203.0.113.5", assigned: "203.0.113.5", change: undefined },
  { when: "it is taken away", has: "203.0.113.5", assigned: undefined, change: null },
  { when: "somebody else's address stands there", has: "192.0.2.1", assigned: undefined, change: undefined },
])("status change is $change when $when", ({ has, assigned, change }) => {
  expect(statusChange(aService("a", {}, has), assigned)).toBe(change);
});

describe("planRoutes", () => {
  const nodes = new Map([
    ["worker", "198.51.100.3"],
    ["control-plane", "198.51.100.2"],
  ]);
  const service = aService("nine");
  const assigned = new Map([[serviceKey(service), "203.0.113.5"]]);
  const via = (slices: SliceView[]) => planRoutes(assigned, [service], slices, nodes).get("203.0.113.5");

  test.each([
    { when: "its pod runs on the worker", slices: [aSlice("nine", "worker")], node: "198.51.100.3" },
    { when: "only the other pod is ready", slices: [aSlice("nine", "worker", false)], node: "198.51.100.2" },
    { when: "it has no pods", slices: [], node: "198.51.100.2" },
    { when: "another Service's pod runs there", slices: [aSlice("ten", "worker")], node: "198.51.100.2" },
    { when: "the pod's node is gone", slices: [aSlice("nine", "lost")], node: "198.51.100.2" },
  ])("leads over $node when $when", ({ slices, node }) => {
    expect(via(slices)).toBe(node);
  });

  test("has no route while there is no node", () => {
    expect(planRoutes(assigned, [service], [], new Map()).size).toBe(0);
  });
});
