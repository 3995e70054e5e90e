/**
 * The Helm charts and the kustomization: what they make of values, and that a real API server takes
 * it. By default the operator's chart installs what `kubectl apply -f
 * install/chatmail-operator.yaml` does.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { V1Deployment } from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { operatorValues } from "../../scripts/chart/operator-values.ts";
import { serversValues } from "../../scripts/chart/servers-values.ts";
import { pathsOf } from "../../scripts/chart/value.ts";
import { previousFolders } from "../../scripts/previous.ts";
import { chartValues } from "../../scripts/reference-pages.ts";
import type { Typed } from "../../src/kube/kinds.ts";
import type { KubeObject } from "../../src/kube/object.ts";
import { type OperatorConfig, readConfig } from "../../src/operator/config.ts";
import { installManifests } from "../../src/operator/manifests.ts";
import { type ApiServer, apiServerIsMissing, startApiServer } from "../helpers/api-server.ts";
import { chartRows, wrongValues } from "../helpers/chart-rows.ts";
import { ranWith, writeKubeconfig } from "../helpers/kubeconfig.ts";
import { patienceMs, until } from "../helpers/until.ts";

const missing = apiServerIsMissing();
if (missing) console.warn(`skipped: ${missing}`);

const chart = "charts/chatmail-operator";
const servers = "charts/chatmail-servers";
const namespace = "chatmail";
const release = "chatmail-operator";
/** Rendering asks no cluster; the version only has to satisfy the charts' own kubeVersion. */
const kubeVersion = ["--kube-version", "v1.35.0"];
const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };

type Values = Record<string, unknown>;
type Deployment = Typed<V1Deployment>;

const documents = (text: string) =>
  parseAllDocuments(text).flatMap((document) => (document.toJS() ? [document.toJS() as KubeObject] : []));
const isHook = ({ metadata }: KubeObject) => metadata.annotations?.["helm.sh/hook"] !== undefined;
const named = ({ kind, metadata }: KubeObject) => `${kind} ${metadata.name}`;

/** Paths of what is set, as far as the chart has values. */
const pathsIn = (values: Values, known: readonly string[], prefix = ""): string[] =>
  Object.entries(values).flatMap(([name, value]) =>
    known.includes(`${prefix}${name}`) ? [`${prefix}${name}`] : pathsIn(value as Values, known, `${prefix}${name}.`),
  );

/** As the Prometheus Operator would bring them, but for their schemas. */
async function makeMonitoringKinds(server: ApiServer): Promise<void> {
  const group = "monitoring.coreos.com";
  for (const kind of ["PodMonitor", "PrometheusRule"]) {
    const [singular, plural] = [kind.toLowerCase(), `${kind.toLowerCase()}s`];
    const anything = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
    const versions = [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: anything } }];
    await server.request("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {
      apiVersion: "apiextensions.k8s.io/v1",
      kind: "CustomResourceDefinition",
      metadata: { name: `${plural}.${group}` },
      spec: { group, scope: "Namespaced", names: { kind, plural, singular }, versions },
    });
    const served = async () =>
      (await server.request("GET", `/apis/${group}/v1/namespaces/${namespace}/${plural}`)).status === 200;
    await until(`${plural} to be served`, served, { patienceMs: patienceMs.client });
  }
}

describe.skipIf(missing !== undefined)("charts", () => {
  const folder = mkdtempSync(join(tmpdir(), "chart-"));
  let server: ApiServer;
  let kubeconfig: string;
  const helm = (args: readonly string[], values?: Values) =>
    ranWith(
      kubeconfig,
      "helm",
      values ? [...args, "--values", "-"] : args,
      values === undefined ? "" : JSON.stringify(values),
    );
  const kubectl = (args: readonly string[], input?: string) => ranWith(kubeconfig, "kubectl", args, input);
  const template = (values: Values, of = chart) =>
    helm(["template", release, of, "-n", namespace, ...kubeVersion], values);
  const rendered = async (values: Values, of = chart) => documents(await template(values, of));
  const withoutCrds = (values: Values) => rendered({ crds: { enabled: false }, ...values });
  /** Asks the API server, which keeps nothing. */
  const accepted = (objects: string) =>
    kubectl(["apply", "--dry-run=server", "--validate=strict", "-o", "name", "-f", "-"], objects);

  let before: Deployment;
  let after: Deployment;
  const live = async () =>
    JSON.parse(
      await kubectl(["-n", namespace, "get", "deployment", "up-chatmail-operator", "-o", "json"]),
    ) as Deployment;

  beforeAll(async () => {
    server = await startApiServer();
    kubeconfig = writeKubeconfig(server, folder, namespace);
    await server.makeNamespace(namespace);
    await makeMonitoringKinds(server);
    await previousFolders(["charts"], folder);
    // hooks are for a cluster that runs pods
    const here = ["-n", namespace, "--no-hooks"];
    await helm(["install", "up", join(folder, chart), ...here], { logLevel: "warn", podLabels: { tier: "control" } });
    before = await live();
    await helm(["upgrade", "up", chart, ...here, "--reuse-values"]);
    after = await live();
    // the rows that follow have releases of other names, and these rights are the cluster's
  });
  afterAll(async () => {
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test("the chart of the commit before is upgraded with the values that it had, and loses nothing", async () => {
    const pod = (of: Deployment) => of.spec?.template.spec;
    expect(after.metadata.uid).toBe(before.metadata.uid);
    expect(after.spec?.template.metadata?.labels).toMatchObject({ tier: "control" });
    const [container, containerBefore] = [pod(after), pod(before)].map((each) => each?.containers[0]);
    expect(container?.env).toContainEqual({ name: "LOG_LEVEL", value: "warn" });
    expect(container?.securityContext).toEqual(containerBefore?.securityContext);
    expect(pod(after)?.securityContext).toEqual(pod(before)?.securityContext);
    // as if it were installed now
    const values = { logLevel: "warn", podLabels: { tier: "control" }, fullnameOverride: "up-chatmail-operator" };
    const fresh = (await withoutCrds(values)).find(({ kind }) => kind === "Deployment") as Deployment;
    expect(pod(after)).toMatchObject(JSON.parse(JSON.stringify(pod(fresh) ?? {})) as object);
  });

  test("and goes back", async () => {
    await helm(["rollback", "up", "1", "-n", namespace, "--no-hooks"]);
    expect((await live()).spec?.template).toEqual(before.spec?.template);
    await helm(["upgrade", "up", chart, "-n", namespace, "--no-hooks", "--reset-then-reuse-values"]);
    expect((await live()).spec?.template).toEqual(after.spec?.template);
  });

  /** Without what Helm and kubectl say each in their own way about who installed it. */
  function comparable(object: KubeObject): unknown {
    const text = JSON.stringify(object, (key, value) =>
      key === "labels" || key === "annotations" ? undefined : value,
    );
    const copy = JSON.parse(text);
    delete copy.spec?.revisionHistoryLimit; // the built-in one
    // The chart offers settings that the one file leaves to their defaults.
    const offered = /^(WORKERS|HEALTH_PORT|WATCH_NAMESPACES|ROLLOUT_.*)$/;
    for (const container of copy.spec?.template?.spec?.containers ?? [])
      container.env = container.env.filter(({ name }: { name: string }) => !offered.test(name));
    return copy;
  }
  const byName = (objects: readonly KubeObject[]) =>
    Object.fromEntries(objects.map((object) => [named(object), comparable(object)]));

  test("by default it installs what the one file does", async () => {
    const one = installManifests({
      namespace,
      operatorImage: `chatmail-operator:${version}`,
      relayImage: `chatmail-relay:${version}`,
      version,
    });
    const all = await withoutCrds({});
    expect(byName(all.filter((object) => !isHook(object)))).toEqual(byName(one));
    // Helm runs them, when it tests or removes the release
    expect(all.filter(isHook).map(named).sort()).toEqual([
      "Job chatmail-operator-release",
      "Pod chatmail-operator-check",
    ]);
  });

  test("kubectl apply -k installs the same, and one list names both images", async () => {
    const file = documents(readFileSync("install/chatmail-operator.yaml", "utf8"));
    expect(byName(documents(await kubectl(["kustomize", "install"])))).toEqual(byName(file));
    const copy = join(folder, "install");
    cpSync("install", copy, { recursive: true });
    const path = join(copy, "kustomization.yaml");
    const text = readFileSync(path, "utf8")
      .replace("newName: chatmail-operator", "newName: registry.example/operator")
      .replace("newName: chatmail-relay", "newName: registry.example/relay\n    newTag: '2'");
    writeFileSync(path, `${text}namespace: elsewhere\n`);
    const objects = documents(await kubectl(["kustomize", copy]));
    const deployment = objects.find(({ kind }) => kind === "Deployment") as Deployment;
    const [container] = deployment.spec?.template.spec?.containers ?? [];
    expect(container?.image).toBe(`registry.example/operator:${version}`);
    expect(container?.env).toContainEqual({ name: "RELAY_IMAGE", value: "registry.example/relay:2" });
    // nothing stays behind in the other namespace
    expect(JSON.stringify(objects.filter(({ kind }) => kind !== "CustomResourceDefinition"))).not.toContain(
      '"namespace":"chatmail"',
    );
  });

  test("each value is in the table", () => {
    const known = pathsOf(operatorValues);
    const tried = new Set(chartRows.flatMap(({ values }) => pathsIn(values, known)));
    expect(known.filter((path) => !tried.has(path))).toEqual([]);
  });

  test.each(chartRows)("accepted by the API server: $when", async ({ values, has = {}, lacks = [] }) => {
    const text = await template(values);
    const objects = documents(text);
    const found = new Map(objects.map((object) => [named(object), object]));
    for (const [name, part] of Object.entries(has)) expect(found.get(name), name).toMatchObject(part);
    expect(lacks.filter((name) => found.has(name))).toEqual([]);
    // CRDs take the API server a second each: they are in the first row
    const few = Object.keys(values).length === 0 ? objects : objects.filter(({ kind }) => !/^CustomRes/.test(kind));
    const names = await accepted(few.map((object) => JSON.stringify(object)).join("\n---\n"));
    expect(names.trim().split("\n")).toHaveLength(few.length);
  });

  test.each(wrongValues)("refused: $values", async ({ values, says }) => {
    await expect(template(values)).rejects.toThrow(says);
  });

  test("the CRDs come with the chart, may be left out, and stay when the chart goes", async () => {
    const crds = (await rendered({})).filter(({ kind }) => kind === "CustomResourceDefinition");
    expect(crds).toHaveLength(2);
    for (const { metadata } of crds) expect(metadata.annotations).toMatchObject({ "helm.sh/resource-policy": "keep" });
    expect((await withoutCrds({})).some(({ kind }) => kind === "CustomResourceDefinition")).toBe(false);
  });

  describe("variables of the operator", () => {
    const rowsOf = (path: string) =>
      chartRows.filter(({ values }) => pathsIn(values, pathsOf(operatorValues)).includes(path));
    async function envOf(values: Values): Promise<Record<string, string | undefined>> {
      const deployment = (await withoutCrds(values)).find(({ kind }) => kind === "Deployment") as Deployment;
      const env = deployment.spec?.template.spec?.containers[0]?.env ?? [];
      return Object.fromEntries(env.map(({ name, value }) => [name, value]));
    }
    const configOf = async (values: Values): Promise<OperatorConfig> => readConfig(await envOf(values));

    test("are the built-in ones by default", async () => {
      const { watchNamespaces: _, ...config } = await configOf({});
      const { watchNamespaces: __, ...own } = readConfig({
        RELAY_IMAGE: `chatmail-relay:${version}`,
        LEASE_NAME: release,
      });
      expect(config).toEqual(own);
    });

    const variables = Object.entries(chartValues).filter(([, paths]) => paths.length > 0);
    test.each(variables)("%s follows from %s", async (name, paths) => {
      const builtIn = await envOf({});
      for (const path of paths) {
        const rows = rowsOf(path);
        expect(rows.length, path).toBeGreaterThan(0);
        for (const { values } of rows) {
          const env = await envOf(values);
          readConfig(env); // is understood
          expect(env[name], `${name} by ${path}`).not.toBe(builtIn[name]);
        }
      }
    });

    test("pull settings of the relay image are defaults of servers, and serverDefaults go before them", async () => {
      const relayImage = { pullPolicy: "Always", pullSecrets: [{ name: "registry" }] };
      const global = { imagePullSecrets: [{ name: "shared" }, { name: "registry" }] };
      const { serverDefaults } = await configOf({
        relayImage,
        global,
        serverDefaults: { image: { pullPolicy: "Never" } },
      });
      expect(serverDefaults.image).toEqual({
        pullPolicy: "Never",
        pullSecrets: [{ name: "shared" }, { name: "registry" }],
      });
    });
  });

  test("the notes name what the values chose, and their sample is accepted", async () => {
    const plain = await helm(["get", "notes", "up", "-n", namespace]);
    expect(plain).toContain(`looks after ChatmailServers in ${namespace}.`);
    expect(plain).not.toMatch(/rbac|crds|rollout/);
    expect(plain).toContain(`helm test up -n ${namespace}`);
    const [, sample = ""] = /<<EOF\n([\s\S]*?)\n *EOF\n/.exec(plain) ?? [];
    expect(await accepted(sample)).toBe("chatmailserver.chatmail.dev/nine\n");
    const other = await helm(["install", release, chart, "-n", namespace, "--dry-run=client"], {
      watch: { namespaces: ["a", "b"] },
      rbac: { create: false },
      crds: { enabled: false },
      rollout: { paused: true },
    });
    expect(other).toMatch(
      /in a, b\.[\s\S]*rbac\.create[\s\S]*crds\.enabled[\s\S]*rollout\.paused[\s\S]*namespace: a\n/,
    );
  });

  test("helm has nothing to object", async () => {
    expect(await helm(["lint", "--strict", chart, servers, "--values", "-"], {})).toMatch(/0 chart\(s\) failed/);
  });

  test("what Artifact Hub reads of the chart is YAML, and names our kinds", () => {
    const { annotations } = parse(readFileSync(join(chart, "Chart.yaml"), "utf8")) as {
      annotations: Record<string, string>;
    };
    const crds = parse(annotations["artifacthub.io/crds"] ?? "") as { kind: string; name: string; version: string }[];
    expect(crds.map(({ name, version, kind }) => `${name} ${version} ${kind}`)).toEqual([
      "chatmailservers.chatmail.dev v1alpha1 ChatmailServer",
      "chatmailfleets.chatmail.dev v1alpha1 ChatmailFleet",
    ]);
    expect(parse(annotations["artifacthub.io/crdsExamples"] ?? "")).toHaveLength(crds.length);
  });

  describe("chatmail-servers", () => {
    const ofServers = (values: Values) => rendered(values, servers);
    const nine = { spec: { domain: "nine.example.org" } };

    test("each value has an effect, and the API server accepts what comes of it", async () => {
      const values = {
        global: { any: 1 },
        servers: {
          nine: { ...nine, labels: { ring: "canary" }, annotations: { "chatmail.dev/pause": "true" } },
          ten: { spec: { domain: "ten.example.org", storage: { size: "20Gi" } } },
        },
        fleets: { community: { spec: { defaults: { privacy: { mail: "admin@example.org" } } } } },
        defaults: { fleetRef: { name: "community" }, storage: { size: "5Gi", storageClassName: "fast" } },
        keep: false,
        commonLabels: { team: "mail" },
        extraObjects: [{ apiVersion: "v1", kind: "Secret", metadata: { name: "{{ .Release.Name }}-tsig" } }],
      };
      expect(Object.keys(values).sort()).toEqual(Object.keys(serversValues).sort());
      const text = await template(values, servers);
      const found = new Map(documents(text).map((object) => [named(object), object]));
      expect(found.get("ChatmailServer nine")).toMatchObject({
        metadata: {
          namespace,
          labels: { ring: "canary", team: "mail" },
          annotations: { "chatmail.dev/pause": "true" },
        },
        spec: { domain: "nine.example.org", fleetRef: { name: "community" }, storage: { size: "5Gi" } },
      });
      expect(found.get("ChatmailServer ten")).toMatchObject({
        spec: { storage: { size: "20Gi", storageClassName: "fast" } },
      });
      expect((await accepted(text)).trim().split("\n").sort()).toEqual([
        "chatmailfleet.chatmail.dev/community",
        "chatmailserver.chatmail.dev/nine",
        "chatmailserver.chatmail.dev/ten",
        "secret/chatmail-operator-tsig",
      ]);
    });

    test("servers stay when their release goes, unless the values say otherwise", async () => {
      const keeping = { "helm.sh/resource-policy": "keep" };
      expect((await ofServers({ servers: { nine } }))[0]?.metadata.annotations).toEqual(keeping);
      expect((await ofServers({ servers: { nine }, keep: false }))[0]?.metadata.annotations).toBeUndefined();
      const own = { ...nine, annotations: { "helm.sh/resource-policy": "" } };
      expect((await ofServers({ servers: { nine: own } }))[0]?.metadata.annotations).toEqual(own.annotations);
      const here = ["-n", namespace];
      await helm(["install", "kept", servers, ...here], { servers: { nine } });
      await helm(["uninstall", "kept", ...here]);
      expect(await kubectl([...here, "get", "chatmailservers", "-o", "name"])).toBe(
        "chatmailserver.chatmail.dev/nine\n",
      );
      await kubectl([...here, "delete", "chatmailserver", "nine"]);
    });

    test.each([
      { values: { servers: { nine: { spec: { domian: "nine.example.org" } } } }, says: /domian|domain/ },
      { values: { servers: { nine: { spec: {} } } }, says: /domain/ },
      { values: { servers: { Nine: nine } }, says: /Nine/ },
      { values: { servers: { nine: { domain: "nine.example.org" } } }, says: /domain/ },
      { values: { servers: [nine] }, says: /servers/ },
      { values: { defaults: { domain: "nine.example.org" } }, says: /domain/ },
      { values: { defaults: { storage: { sise: "5Gi" } } }, says: /sise/ },
      { values: { fleets: { a: { spec: { defaultz: {} } } } }, says: /defaultz/ },
    ])("refused: $values", async ({ values, says }) => {
      await expect(ofServers(values)).rejects.toThrow(says);
    });
  });
});
