/**
 * The Helm chart: what it installs by default is what `kubectl apply -f
 * install/chatmail-operator.yaml` installs.
 */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import type { KubeObject } from "../../src/kube/object.ts";
import { readConfig } from "../../src/operator/config.ts";
import { installManifests } from "../../src/operator/manifests.ts";

const chart = "charts/chatmail-operator";
const namespace = "chatmail";
/** Rendering asks no cluster; the version only has to satisfy the chart's own kubeVersion. */
const kubeVersion = "v1.35.0";

function helm(...args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile("helm", args, { maxBuffer: 2 ** 24 }, (error, stdout, stderr) =>
      error ? reject(new Error(stderr)) : resolve(stdout),
    );
  });
}

async function rendered(...values: string[]): Promise<KubeObject[]> {
  const sets = values.flatMap((value) => ["--set", value]);
  const text = await helm(
    "template",
    "chatmail-operator",
    chart,
    "-n",
    namespace,
    "--kube-version",
    kubeVersion,
    ...sets,
  );
  return parseAllDocuments(text).flatMap((document) => (document.toJS() ? [document.toJS() as KubeObject] : []));
}

/** Without what Helm and kubectl say each in their own way about who installed it. */
function comparable(object: KubeObject): unknown {
  const text = JSON.stringify(object, (key, value) => (key === "labels" || key === "annotations" ? undefined : value));
  const copy = JSON.parse(text);
  // The chart offers settings that the one file leaves to their defaults.
  for (const container of copy.spec?.template?.spec?.containers ?? [])
    container.env = container.env.filter(({ name }: { name: string }) => !/^(WORKERS|ROLLOUT_.*)$/.test(name));
  return copy;
}
const named = (objects: readonly KubeObject[]) =>
  Object.fromEntries(objects.map((object) => [`${object.kind} ${object.metadata.name}`, comparable(object)]));

test("by default it installs what the one file does", async () => {
  const { version } = JSON.parse(await readFile("package.json", "utf8")) as { version: string };
  const one = installManifests({
    namespace,
    operatorImage: `chatmail-operator:${version}`,
    relayImage: `chatmail-relay:${version}`,
    version,
  });
  // Helm runs it, and only when it removes the chart
  const isHook = ({ metadata }: KubeObject) => metadata.annotations?.["helm.sh/hook"] !== undefined;
  const all = await rendered("crds.enabled=false");
  expect(named(all.filter((object) => !isHook(object)))).toEqual(named(one));
  expect(all.filter(isHook).map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual([
    "Job chatmail-operator-release",
  ]);
});

test("the CRD comes with the chart, may be left out, and stays when the chart goes", async () => {
  const crd = (await rendered()).find(({ kind }) => kind === "CustomResourceDefinition");
  expect(crd?.metadata.annotations).toMatchObject({ "helm.sh/resource-policy": "keep" });
  expect((await rendered("crds.enabled=false")).some(({ kind }) => kind === "CustomResourceDefinition")).toBe(false);
});

test.each([
  { values: "watch.namespaces={a,b}", watched: "a,b", kinds: { Role: 3, ClusterRole: 2 } },
  { values: "watch.allNamespaces=true", watched: "*", kinds: { Role: 1, ClusterRole: 3 } },
  { values: "replicas=2", watched: namespace, kinds: { Role: 2, ClusterRole: 2 } },
  { values: "rbac.aggregateToUserRoles=false", watched: namespace, kinds: { Role: 2, ClusterRole: 0 } },
])("with $values it watches $watched and has rights for no more", async ({ values, watched, kinds }) => {
  const objects = await rendered(values, "crds.enabled=false");
  expect(JSON.stringify(objects)).toContain(JSON.stringify({ name: "WATCH_NAMESPACES", value: watched }));
  const count = (kind: string) => objects.filter((object) => object.kind === kind).length;
  expect({ Role: count("Role"), ClusterRole: count("ClusterRole") }).toEqual(kinds);
});

test("images beside the relay's own are allowed by the administrator alone", async () => {
  const allowed = (objects: KubeObject[]) =>
    JSON.stringify(objects).match(/\{"name":"ALLOWED_IMAGES","value":"([^"]*)"\}/)?.[1];
  expect(allowed(await rendered("crds.enabled=false"))).toBeUndefined();
  const values = "relayImage.allowed={registry.example/team/,registry.example/relay}";
  expect(allowed(await rendered(values, "crds.enabled=false"))).toBe("registry.example/team/,registry.example/relay");
  await expect(rendered("relayImage.allowed=registry.example/relay")).rejects.toThrow(/allowed/);
});

test("rollouts are the built-in ones, or as the values say", async () => {
  const rolloutOf = async (...values: string[]) => {
    const [deployment] = (await rendered(...values, "crds.enabled=false")).filter(({ kind }) => kind === "Deployment");
    const env = JSON.stringify(deployment).matchAll(/\{"name":"(RELAY_IMAGE|ROLLOUT_[A-Z_]+)","value":"([^"]*)"\}/g);
    return readConfig(Object.fromEntries([...env].map(([, name, value]) => [name, value]))).rollout;
  };
  expect(await rolloutOf()).toEqual(readConfig({ RELAY_IMAGE: "relay:1" }).rollout);
  const values = ["paused=true", "maxUnavailable=5%", "canarySoakSeconds=0", "soakSeconds=7", "maxFailures=3"];
  expect(await rolloutOf(...values.map((value) => `rollout.${value}`), "rollout.gate=Ready")).toEqual(
    readConfig({
      RELAY_IMAGE: "relay:1",
      ROLLOUT_PAUSED: "true",
      ROLLOUT_MAX_UNAVAILABLE: "5%",
      ROLLOUT_CANARY_SOAK_SECONDS: "0",
      ROLLOUT_SOAK_SECONDS: "7",
      ROLLOUT_MAX_FAILURES: "3",
      ROLLOUT_GATE: "Ready",
    }).rollout,
  );
  await expect(rendered("rollout.maxUnavailable=0")).rejects.toThrow(/maxUnavailable/);
  await expect(rendered("rollout.gate=Never")).rejects.toThrow(/gate/);
});

test("a value that does not exist is refused", async () => {
  await expect(rendered("watch.namespace=mail")).rejects.toThrow(/watch/);
  await expect(rendered("logLevel=loud")).rejects.toThrow(/logLevel/);
});

test("helm has nothing to object", async () => {
  expect(await helm("lint", "--strict", chart)).toMatch(/0 chart\(s\) failed/);
});
