import { expect, test } from "vitest";
import { installManifests, type PolicyRule, rulesFor, watchRules } from "../../../src/operator/manifests.ts";
import { desiredChildren } from "../../../src/operator/server/desired.ts";
import { storeResources } from "../../../src/operator/server/world.ts";
import { aServer } from "../../helpers/a-server.ts";

const allows = (rules: readonly PolicyRule[], group: string, plural: string, verb: string) =>
  rules.some((rule) => rule.apiGroups.includes(group) && rule.resources.includes(plural) && rule.verbs.includes(verb));

test.each(Object.values(storeResources))("$plural may be listed and watched", ({ group, plural }) => {
  expect(["get", "list", "watch"].filter((verb) => !allows(watchRules, group, plural, verb))).toEqual([]);
});

test("the operator reads objects of each of its kinds, and writes their status and their finalizer", () => {
  expect(rulesFor([{ plural: "as" }, { plural: "bs" }])).toEqual([
    { apiGroups: ["chatmail.dev"], resources: ["as", "bs"], verbs: ["get", "list", "watch", "patch"] },
    { apiGroups: ["chatmail.dev"], resources: ["as/status", "bs/status"], verbs: ["patch"] },
    { apiGroups: ["chatmail.dev"], resources: ["as/finalizers", "bs/finalizers"], verbs: ["update"] },
  ]);
});

test("every child may be applied", () => {
  const certificate = { source: "SelfSigned", secretName: "x" } as const;
  const children = desiredChildren(
    aServer(),
    { certificate, identity: {}, jobs: [] },
    { relayImage: "x", operatorNamespace: "chatmail" },
  );
  const refused = children.filter(
    ({ resource }) => !["create", "patch"].every((verb) => allows(watchRules, resource.group, resource.plural, verb)),
  );
  expect(refused.map(({ resource }) => resource.plural)).toEqual([]);
});

test("Secrets are created, and changed where they are", () => {
  expect(["create", "patch", "get"].filter((verb) => !allows(watchRules, "", "secrets", verb))).toEqual([]);
});

test("nothing may be deleted, run in a pod, or reached in other groups", () => {
  const verbs = new Set(watchRules.flatMap((rule) => rule.verbs));
  expect(verbs).toEqual(new Set(["get", "list", "watch", "create", "patch", "update"]));
  expect(watchRules.flatMap((rule) => rule.resources).filter((name) => name.includes("exec"))).toEqual([]);
});

test("all stays in the one namespace, but for what roles of people may do with our kinds", () => {
  const all = installManifests({ namespace: "mail", operatorImage: "o:1", relayImage: "r:1", version: "1" });
  const isRole = ({ kind }: { kind: string }) => kind === "ClusterRole";
  const others = all.filter((object) => !isRole(object));
  expect(new Set(others.map(({ metadata }) => metadata.namespace))).toEqual(new Set(["mail"]));
  const rules = all.filter(isRole).flatMap((role) => (role as unknown as { rules: PolicyRule[] }).rules);
  expect(new Set(rules.flatMap(({ apiGroups }) => apiGroups))).toEqual(new Set(["chatmail.dev"]));
  expect(rules.flatMap(({ resources }) => resources).filter((name) => name.includes("/"))).toEqual([]);
});
