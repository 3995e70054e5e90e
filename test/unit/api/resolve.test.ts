import { describe, expect, test } from "vitest";
import { z } from "zod";
import { ChatmailServerSpec } from "../../../src/api/chatmail-server.ts";
import { type Layer, resolve, writtenIssues } from "../../../src/api/resolve.ts";
import { notGreater, withRules } from "../../../src/api/rules.ts";

const domain = "_nine.test";
const layers = (spec: object, operator: object = {}): Layer[] => [
  { from: "spec", values: { domain, ...spec } },
  { from: "operator configuration", values: operator },
];
const resolved = (spec: object, operator?: object) => {
  const result = resolve(ChatmailServerSpec, layers(spec, operator));
  if ("issues" in result) throw new Error(JSON.stringify(result.issues));
  return result;
};
const issues = (spec: object, operator?: object) => {
  const result = resolve(ChatmailServerSpec, layers(spec, operator));
  return "issues" in result ? result.issues.map(({ path, message }) => `${path.join(".")}: ${message}`) : [];
};

describe("a value", () => {
  test.each([
    { given: "nowhere", spec: {}, operator: {}, is: 10, from: "built in" },
    {
      given: "by the operator",
      spec: {},
      operator: { accounts: { sendBurst: 5 } },
      is: 5,
      from: "operator configuration",
    },
    { given: "by the spec", spec: { accounts: { sendBurst: 3 } }, operator: {}, is: 3, from: "spec" },
    {
      given: "by both",
      spec: { accounts: { sendBurst: 3 } },
      operator: { accounts: { sendBurst: 5, createBurst: 7 } },
      is: 3,
      from: "spec",
    },
    {
      given: "by the operator, and the spec has others of the group",
      spec: { accounts: { createBurst: 3 } },
      operator: { accounts: { sendBurst: 5 } },
      is: 5,
      from: "operator configuration",
    },
  ])("that is given $given is $is, from $from", ({ spec, operator, is, from }) => {
    const result = resolved(spec, operator);
    expect([result.spec.accounts.sendBurst, result.originOf("accounts.sendBurst")]).toEqual([is, from]);
  });

  test("false is a value, and empty text is none that anybody may write", () => {
    expect(resolved({ services: { push: { enabled: false } } }).spec.services.push.enabled).toBe(false);
  });

  test("of a list or a map is taken whole", () => {
    const spec = { network: { privatePeers: ["10.1.0.0/16"], service: { annotations: { a: "1" } } } };
    const operator = { network: { privatePeers: ["10.2.0.0/16"], service: { annotations: { b: "2" } } } };
    const { network } = resolved(spec, operator).spec;
    expect(network.privatePeers).toEqual(["10.1.0.0/16"]);
    expect(network.service.annotations).toEqual({ a: "1" });
  });

  test("in an optional group comes from where the group is", () => {
    const caBundle = { configMapName: "ours" };
    const result = resolved({ certificate: { source: "Secret", secret: { name: "a" }, caBundle } });
    expect(result.spec.certificate.caBundle).toEqual({ configMapName: "ours", key: "ca.crt" });
    expect(result.originOf("certificate.caBundle.key")).toBe("built in");
  });
});

test("what the schema does not know is ignored, at any depth: a newer CRD may have it", () => {
  const spec = { moon: "full", accounts: { karma: 5 }, scheduling: { tolerations: [{ key: "a", later: 1 }] } };
  const result = resolved(spec);
  expect(result.spec).toEqual(resolved({ scheduling: { tolerations: [{ key: "a" }] } }).spec);
});

test("a default that has no effect with what the spec chose is left out; what the spec says itself is refused", () => {
  const operator = {
    certificate: { source: "Secret", secret: { name: "shared" } },
    network: { service: { loadBalancerClass: "x" } },
  };
  const { spec } = resolved({ certificate: { source: "SelfSigned" }, network: { exposure: "HostPort" } }, operator);
  expect(spec.certificate).toEqual({ source: "SelfSigned" });
  expect(spec.network.service).toEqual({ allocateNodePorts: true });
  expect(issues({ network: { service: { loadBalancerClass: "x" } } }, { network: { exposure: "HostPort" } })).toEqual([
    'network.service.loadBalancerClass: service.loadBalancerClass is only used when exposure is LoadBalancer: service.loadBalancerClass is "x" (spec), exposure is "HostPort" (operator configuration)',
  ]);
});

test("what one layer needs may be in another", () => {
  const operator = { certificate: { secret: { name: "shared" }, source: "Secret" } };
  expect(resolved({ certificate: { source: "Secret" } }, operator).spec.certificate.secret).toEqual({ name: "shared" });
});

test.each([undefined, null, "x", [], 5])("a spec that is %j is refused, and nothing is thrown", (spec) => {
  expect(resolve(ChatmailServerSpec, [{ from: "spec", values: spec }])).toHaveProperty("issues");
});

test("layers are left as they are", () => {
  const given = Object.freeze({ domain, network: Object.freeze({ exposure: "HostPort" }) });
  const operator = Object.freeze({ network: Object.freeze({ service: Object.freeze({ loadBalancerClass: "x" }) }) });
  const result = resolve(ChatmailServerSpec, [
    { from: "spec", values: given },
    { from: "operator configuration", values: operator },
  ]);
  expect(result).toHaveProperty("spec.network.service", { allocateNodePorts: true });
  expect(operator.network.service.loadBalancerClass).toBe("x");
});

test("a spec as it is written is judged by what is in it alone", () => {
  expect(writtenIssues(ChatmailServerSpec, { domain, messages: { deleteAfterDays: 5 } })).toEqual([]);
  expect(writtenIssues(ChatmailServerSpec, { domain, scheduling: { tolerations: [{ kee: "a" }] } })).toEqual([
    { path: ["scheduling", "tolerations", "0", "kee"], message: "there is no such field" },
  ]);
});

test("a rule that names a field which does not exist is a fault of the schema", () => {
  expect(() => withRules(z.object({ a: z.int() }), notGreater("a", "b"))).toThrow(
    "a rule names b, which does not exist",
  );
});
