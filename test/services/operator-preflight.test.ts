/**
 * An edit whose pod could not start, against a real API server: the pod that runs is not replaced
 * until all is there.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeSelfSigned } from "../../src/certificates/self-signed.ts";
import type { KubeObject } from "../../src/kube/object.ts";
import { apiServerIsMissing } from "../helpers/api-server.ts";
import { base64, namespace, OperatorCluster, type RunningOperator } from "../helpers/operator-cluster.ts";
import { patienceMs, until } from "../helpers/until.ts";

const missing = apiServerIsMissing();
if (missing) console.warn(`skipped: ${missing}`);

const patience = { patienceMs: patienceMs.client };

describe.skipIf(missing !== undefined)("with a real API server", () => {
  let cluster: OperatorCluster;
  let operator: RunningOperator;

  const generation = async (name: string) => (await cluster.get("statefulsets", name)).metadata.generation;
  const planOf = async (name: string) =>
    (await cluster.get<{ data: Record<string, string> }>("configmaps", `${name}-plan`)).data["plan.json"] ?? "";
  const running = async (name: string, spec: object = {}) => {
    await cluster.makeServer(name, { domain: `_${name}.test`, ...spec });
    await cluster.setUp(name);
    await cluster.runs(name);
  };
  /** The pod goes on, the rest of the edit is applied, and the status says this. */
  const isHeld = async (name: string, before: number | undefined, says: RegExp) => {
    const { message } = await cluster.conditionIs(name, "UpToDate", "UpdateHeld");
    expect(message).toMatch(/^the running pod is not replaced: /);
    expect(message).toMatch(says);
    expect(await generation(name)).toBe(before);
    expect(await planOf(name)).toContain('"sendBurst": 21');
    const isStalled = async () => (await cluster.condition(name, "Stalled"))?.status === "True";
    await until("Stalled", isStalled, patience);
    expect((await cluster.condition(name, "PodReady"))?.status).toBe("True");
  };
  const goesOn = (name: string, before: number | undefined) =>
    until(`${name} to be updated`, async () => (await generation(name)) !== before, patience);
  const request = (method: string, path: string, body?: object) => cluster.server.request(method, path, body);
  const label = (level: string | null) =>
    cluster.server.request(
      "PATCH",
      `/api/v1/namespaces/${namespace}`,
      { metadata: { labels: { "pod-security.kubernetes.io/enforce": level } } },
      "application/merge-patch+json",
    );
  const inNamespace = (kind: string, name = "") => `/api/v1/namespaces/${namespace}/${kind}${name && `/${name}`}`;
  const accounts = { sendBurst: 21 };
  const web = (memory: string) => ({ web: { requests: { memory }, limits: { memory } } });

  beforeAll(async () => {
    cluster = await OperatorCluster.open();
    operator = cluster.startOperator();
  });
  afterAll(async () => {
    await operator?.stop();
    await cluster?.close();
  });

  test("a PriorityClass that does not exist; created, the edit is carried out", async () => {
    await running("priority");
    const before = await generation("priority");
    await cluster.patch("priority", { scheduling: { priorityClassName: "nope" }, accounts });
    await isHeld("priority", before, /no PriorityClass with name nope was found\. Create it, or correct scheduling/);
    const object = { metadata: { name: "nope" }, value: 7 };
    await request("POST", "/apis/scheduling.k8s.io/v1/priorityclasses", object);
    await goesOn("priority", before);
    await cluster.runs("priority");
  });

  test("Pod Security of the namespace", async () => {
    await running("security");
    const before = await generation("security");
    await label("restricted");
    await cluster.patch("security", { resources: web("40Mi"), accounts });
    await isHeld("security", before, /violates PodSecurity "restricted:latest".*has to be baseline/);
    await label(null);
    await goesOn("security", before);
    await cluster.runs("security");
  });

  test("a LimitRange", async () => {
    await running("limits");
    const before = await generation("limits");
    const range = { metadata: { name: "small" }, spec: { limits: [{ type: "Container", max: { memory: "1Gi" } }] } };
    await request("POST", inNamespace("limitranges"), range);
    await cluster.patch("limits", { resources: web("3Gi"), accounts });
    await isHeld("limits", before, /maximum memory usage per Container is 1Gi.*LimitRange/);
    await request("DELETE", inNamespace("limitranges", "small"));
    await goesOn("limits", before);
    await cluster.runs("limits");
  });

  test("a ResourceQuota: the room of the pod that runs is not in the way, what does not fit is held", async () => {
    await running("quota");
    const before = await generation("quota");
    // plays the quota's controller
    const quota = async (hard: object, used: object) => {
      const path = inNamespace("resourcequotas", "small");
      await request("DELETE", path);
      await request("POST", inNamespace("resourcequotas"), { metadata: { name: "small" }, spec: { hard } });
      const type = "application/merge-patch+json";
      await cluster.server.request("PATCH", `${path}/status`, { status: { hard, used } }, type);
      const isThere = async () => {
        const pod = { metadata: { name: "try", namespace }, spec: { containers: [{ name: "a", image: "b" }] } };
        const { body } = await cluster.server.request<{ message?: string }>(
          "POST",
          `${inNamespace("pods")}?dryRun=All`,
          pod,
        );
        return body.message?.includes("quota");
      };
      await until("the quota to hold", isThere, patience);
    };
    await quota({ "limits.memory": "1Gi" }, { "limits.memory": "900Mi" });
    await cluster.patch("quota", { resources: web("2Gi"), accounts });
    await isHeld("quota", before, /exceeded quota: small.*ResourceQuota leaves no room/);
    await quota({ pods: "1" }, { pods: "1" });
    await cluster.patch("quota", { resources: web("40Mi") });
    await goesOn("quota", before);
    await request("DELETE", inNamespace("resourcequotas", "small"));
    await cluster.runs("quota");
  });

  test("a policy of the cluster", async () => {
    await running("policy");
    const before = await generation("policy");
    const allow = await cluster.refuse("pods", ["policy-preflight"]);
    await cluster.patch("policy", { resources: web("40Mi"), accounts });
    await isHeld("policy", before, /not here/);
    await allow();
    await goesOn("policy", before);
  });

  test("a certificate that is not there, or is another domain's", async () => {
    await running("secret");
    const before = await generation("secret");
    await cluster.patch("secret", { certificate: { source: "Secret", secret: { name: "typo" } }, accounts });
    await isHeld("secret", before, /there is no Secret typo in namespace chatmail/);
    await cluster.conditionIs("secret", "CertificateReady", "CertificateMissing");
    const { certificatePem, keyPem } = await makeSelfSigned("_other.test", new Date());
    await cluster.makeSecret("typo", "kubernetes.io/tls", {
      "tls.crt": base64(certificatePem),
      "tls.key": base64(keyPem),
    });
    await cluster.conditionIs("secret", "CertificateReady", "CertificateMismatch");
    await isHeld("secret", before, /the certificate is for _other\.test/);
    await cluster.patch("secret", { certificate: null });
    await cluster.conditionIs("secret", "Ready", "Serving");
    expect(await generation("secret")).toBe(before);
  });

  test("an edit that replaces no pod, and one of a pod that does not serve, are not asked about", async () => {
    await running("cure");
    const allow = await cluster.refuse("pods", ["cure-preflight"]);
    const before = await generation("cure");
    await cluster.patch("cure", { accounts });
    await until("the plan", async () => (await planOf("cure")).includes('"sendBurst": 21'), patience);
    await cluster.conditionIs("cure", "Ready", "Serving");
    await cluster.setStatus("pods", "cure-0", { conditions: [{ type: "Ready", status: "False" }] });
    await cluster.conditionIs("cure", "PodReady", "PodPending");
    await cluster.patch("cure", { resources: web("40Mi") });
    await goesOn("cure", before);
    await allow();
  });

  test("nothing of it is created", async () => {
    const { body } = await cluster.server.request<{ items: KubeObject[] }>("GET", inNamespace("pods"));
    expect(body.items.map(({ metadata }) => metadata.name).filter((name) => name.endsWith("-preflight"))).toEqual([]);
  });

  describe("files of the user's own", () => {
    test("a misspelt website: built-in pages, and a status that says so; when it is there, its pages", async () => {
      await running("pages");
      await cluster.patch("pages", { website: { configMapName: "my-pages" } });
      const { message } = await cluster.conditionIs("pages", "WebsiteReady", "WebsiteMissing");
      expect(message).toBe(
        "there is no ConfigMap my-pages, which website.configMapName names. The built-in pages are served",
      );
      expect(await planOf("pages")).not.toContain('"website"');
      await cluster.runs("pages");
      await cluster.make("configmaps", { metadata: { name: "my-pages", namespace }, data: { "home.html": "x" } });
      const lacks = async () =>
        (await cluster.condition("pages", "WebsiteReady"))?.message.includes("has no index.html");
      await until("the message", lacks, patience);
      await cluster.change("configmaps", "my-pages", { data: { "index.html": "x" } });
      await cluster.conditionIs("pages", "WebsiteReady", "WebsiteServed");
      expect(await planOf("pages")).toContain('"website"');
      const texts = { "texts.de.json": '{ "menu.index": "Rein" }', "texts.it.json": '{ "language.name": "Italiano" }' };
      await cluster.change("configmaps", "my-pages", { data: { "index.html": null, "home.html": null, ...texts } });
      const served = async () => (await cluster.condition("pages", "WebsiteReady"))?.message ?? "";
      await until("the texts", async () => (await served()).includes("with texts in de, it ("), patience);
      expect(await planOf("pages")).toContain('"menu.index": "Rein"');
      expect(await planOf("pages")).not.toContain('"own"');
      await cluster.change("configmaps", "my-pages", { data: { "texts.de.json": '{ "menu.index": "{name}" }' } });
      const wrong = await cluster.conditionIs("pages", "WebsiteReady", "WebsiteTextsInvalid");
      expect(wrong.message).toBe(
        "in ConfigMap my-pages, which website.configMapName names, texts.de.json: menu.index must not contain {name}. What is wrong is left out, the rest is used",
      );
      expect(await planOf("pages")).toContain("Italiano");
      await cluster.conditionIs("pages", "Ready", "Serving");
      await cluster.remove("configmaps", "my-pages");
      await cluster.conditionIs("pages", "WebsiteReady", "WebsiteMissing");
      expect(await planOf("pages")).not.toContain('"website"');
      await cluster.conditionIs("pages", "Ready", "Serving");
    });

    test("app versions", async () => {
      await running("versions");
      await cluster.patch("versions", { services: { appVersions: { configMapName: "my-versions" } } });
      await cluster.conditionIs("versions", "WebsiteReady", "WebsiteMissing");
      await cluster.runs("versions");
      const data = { "appversions.json": "{}" };
      await cluster.make("configmaps", { metadata: { name: "my-versions", namespace }, data });
      await cluster.conditionIs("versions", "WebsiteReady", "WebsiteServed");
    });
  });
});
