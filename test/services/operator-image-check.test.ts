/**
 * Another image for a pod that serves, against a real API server: it is checked on the node of the
 * pod before it replaces the one that runs. The tests play the job's controller and the kubelet.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { labels } from "../../src/api/names.ts";
import type { CoreEvent, CronJob, StatefulSet } from "../../src/kube/kinds.ts";
import { apiServerIsMissing } from "../helpers/api-server.ts";
import { namespace, OperatorCluster, type RunningOperator, relayImage } from "../helpers/operator-cluster.ts";
import { patienceMs, until } from "../helpers/until.ts";

const missing = apiServerIsMissing();
if (missing) console.warn(`skipped: ${missing}`);

const patience = { patienceMs: patienceMs.client };
const other = "registry.example/team/relay:2";
const third = "registry.example/team/relay:3";
const refused = (words: string) => ({
  phase: "Failed",
  initContainerStatuses: [
    {
      name: "postfix",
      ready: false,
      restartCount: 0,
      image: other,
      imageID: "",
      state: { terminated: { exitCode: 1, reason: "Error", message: words } },
    },
  ],
});
const notPulled = {
  phase: "Pending",
  initContainerStatuses: [
    {
      name: "prepare",
      ready: false,
      restartCount: 0,
      image: other,
      imageID: "",
      state: {
        waiting: { reason: "ImagePullBackOff", message: `Back-off pulling image "${other}": ErrImagePull: not found` },
      },
    },
  ],
};

describe.skipIf(missing !== undefined)("with a real API server", () => {
  let cluster: OperatorCluster;
  let operator: RunningOperator;

  const imageOf = async (name: string) =>
    (await cluster.get<StatefulSet>("statefulsets", name)).spec?.template.spec?.containers[0]?.image;
  const cleanUpImage = async (name: string) =>
    (await cluster.get<CronJob>("cronjobs", `${name}-expiry`)).spec?.jobTemplate.spec?.template.spec?.containers[0]
      ?.image;
  const running = async (name: string, spec: object = {}) => {
    await cluster.makeServer(name, { domain: `_${name}.test`, ...spec });
    await cluster.setUp(name);
    await cluster.runs(name);
  };
  const patchImage = (name: string, reference: string | null, more: object = {}) =>
    cluster.patch(name, { image: reference === null ? null : { reference }, ...more });
  const becomes = (name: string, image: string) =>
    until(`${name} to have ${image}`, async () => (await imageOf(name)) === image, patience);
  const checkOf = async (name: string) => {
    const job = await cluster.imageCheck(name);
    return job?.spec?.template.spec?.containers[0]?.image;
  };
  const isChecked = (name: string, image: string) =>
    until(`${image} to be checked`, async () => (await checkOf(name)) === image, patience);
  const noneIsLeft = (name: string) =>
    until("no check to be left", async () => (await cluster.imageCheck(name)) === undefined, patience);
  const eventsAbout = async (name: string) => {
    const path = `/api/v1/namespaces/${namespace}/events?fieldSelector=involvedObject.name%3D${name}`;
    return (await cluster.server.request<{ items: CoreEvent[] }>("GET", path)).body.items;
  };

  beforeAll(async () => {
    cluster = await OperatorCluster.open();
    operator = cluster.startOperator();
  });
  afterAll(async () => {
    await operator?.stop();
    await cluster?.close();
  });

  test("the old pod serves until the check has passed, on its node and with the plan alone; then the job goes", async () => {
    await running("pass");
    await patchImage("pass", other, { accounts: { sendBurst: 21 } });
    const { message } = await cluster.conditionIs("pass", "UpToDate", "UpdateChecking");
    expect(message).toBe(`the running pod goes on while ${other} is checked on node node-1`);
    await cluster.conditionIs("pass", "Reconciling", "UpdateChecking");
    expect((await cluster.condition("pass", "Ready"))?.reason).toBe("Serving");
    expect((await cluster.condition("pass", "Stalled"))?.status).toBe("False");
    expect([await imageOf("pass"), await cleanUpImage("pass")]).toEqual([relayImage, relayImage]);

    const job = await cluster.imageCheckIs("pass", { phase: "Running" });
    expect(job.metadata.ownerReferences?.[0]).toMatchObject({ kind: "ChatmailServer", name: "pass" });
    const { volumes = [], affinity } = job.spec?.template.spec ?? {};
    expect(volumes.filter(({ emptyDir }) => !emptyDir)).toMatchObject([{ configMap: { name: "pass-plan" } }]);
    expect(JSON.stringify(affinity)).toContain('"values":["node-1"]');
    // the rest of the edit does not wait
    const plan = await cluster.get<{ data: Record<string, string> }>("configmaps", "pass-plan");
    expect(plan.data["plan.json"]).toContain('"sendBurst": 21');

    await cluster.imageCheckIs("pass", { phase: "Succeeded" });
    await becomes("pass", other);
    await until("the clean-up to have it, too", async () => (await cleanUpImage("pass")) === other, patience);
    await noneIsLeft("pass");
    await cluster.runs("pass");
  });

  test("what its checkers say is told; the same thing is not checked again, another plan is", async () => {
    await running("refuse");
    await patchImage("refuse", other);
    const first = await cluster.imageCheckIs("refuse", refused("postfix: fatal: no such table type\n"));
    const { message } = await cluster.conditionIs("refuse", "UpToDate", "UpdateHeld");
    expect(message).toBe(
      `the running pod is not replaced: ${other} can't use the present settings: postfix: fatal: no such table type. To check it again: kubectl -n chatmail delete job ${first.metadata.name}`,
    );
    await cluster.conditionIs("refuse", "Stalled", "UpdateHeld");
    expect((await cluster.condition("refuse", "PodReady"))?.status).toBe("True");
    // the next operator goes on where this one was
    await operator.stop();
    operator = cluster.startOperator();
    await cluster.patch("refuse", { network: { service: { labels: { any: "edit" } } } });
    await until("the edit", async () => {
      const { metadata } = await cluster.get("services", "refuse");
      return metadata.labels?.any === "edit";
    });
    expect((await cluster.imageCheck("refuse"))?.metadata.uid).toBe(first.metadata.uid);
    expect(await imageOf("refuse")).toBe(relayImage);

    await cluster.patch("refuse", { accounts: { sendBurst: 21 } });
    await until("another check", async () => {
      const { metadata } = (await cluster.imageCheck("refuse")) ?? {};
      return metadata && metadata.uid !== first.metadata.uid;
    });
    await cluster.conditionIs("refuse", "UpToDate", "UpdateChecking");
    await cluster.imageCheckIs("refuse", { phase: "Succeeded" });
    await becomes("refuse", other);
  });

  test("a job that a person deletes is made again", async () => {
    await running("again");
    await patchImage("again", other);
    const { metadata } = await cluster.imageCheckIs("again", refused("web: nginx: [emerg] x"));
    await cluster.conditionIs("again", "UpToDate", "UpdateHeld");
    await cluster.remove("pods", `${metadata.name}-pod`);
    await cluster.server.request(
      "DELETE",
      `/apis/batch/v1/namespaces/${namespace}/jobs/${metadata.name}?propagationPolicy=Background`,
    );
    await cluster.conditionIs("again", "UpToDate", "UpdateChecking");
    await cluster.imageCheckIs("again", { phase: "Succeeded" });
    await becomes("again", other);
  });

  test("an image that can't be pulled is named while the old pod serves; corrected, nothing is left of it", async () => {
    await running("pull");
    await patchImage("pull", other);
    await cluster.imageCheckIs("pull", notPulled);
    const { message } = await cluster.conditionIs("pull", "UpToDate", "ImageUnavailable");
    expect(message).toBe(`the running pod is not replaced: ${other} can't be pulled: not found`);
    expect((await cluster.condition("pull", "Ready"))?.reason).toBe("Serving");
    expect(await imageOf("pull")).toBe(relayImage);
    // another image ends the check of the first
    await patchImage("pull", third);
    await isChecked("pull", third);
    await cluster.imageCheckIs("pull", { phase: "Running" });
    await patchImage("pull", null);
    await noneIsLeft("pull");
    await cluster.runs("pull");
    expect(await imageOf("pull")).toBe(relayImage);
  });

  test("an image of a version that has no such check replaces the pod, and an event says so", async () => {
    await running("old");
    await patchImage("old", other);
    await cluster.imageCheckIs("old", refused("the second word is start or try\n"));
    await becomes("old", other);
    const said = async () => (await eventsAbout("old")).find(({ reason }) => reason === "ImageUnchecked")?.message;
    await until("the event", said, patience);
    expect(await said()).toMatch(/could not be checked .*: it is of a version that has no such check/);
  });

  test("where the namespace has no room for a check, the update goes on without", async () => {
    await running("room");
    const path = `/api/v1/namespaces/${namespace}/resourcequotas`;
    const hard = { pods: "1" };
    await cluster.server.request("POST", path, { metadata: { name: "full" }, spec: { hard } });
    await cluster.server.request(
      "PATCH",
      `${path}/full/status`,
      { status: { hard, used: { pods: "1" } } },
      "application/merge-patch+json",
    );
    const holds = async () => {
      const pod = { metadata: { name: "try", namespace }, spec: { containers: [{ name: "a", image: "b" }] } };
      const pods = `/api/v1/namespaces/${namespace}/pods?dryRun=All`;
      return (await cluster.server.request<{ message?: string }>("POST", pods, pod)).body.message?.includes("quota");
    };
    await until("the quota to hold", holds, patience);
    await patchImage("room", other);
    await becomes("room", other);
    await cluster.server.request("DELETE", `${path}/full`);
    const said = async () => (await eventsAbout("room")).find(({ reason }) => reason === "ImageUnchecked")?.message;
    await until("the event", said, patience);
    expect(await said()).toMatch(/exceeded quota: full/);
  });

  test("an edit that keeps the image, and a pod that does not serve, need no check", async () => {
    await running("keep");
    const generation = async () => (await cluster.get("statefulsets", "keep")).metadata.generation;
    const before = await generation();
    await cluster.patch("keep", { resources: { web: { requests: { memory: "24Mi" } } } });
    await until("the edit", async () => (await generation()) !== before, patience);
    expect(await cluster.imageCheck("keep")).toBeUndefined();
    await cluster.runs("keep");
    await cluster.setStatus("pods", "keep-0", { conditions: [{ type: "Ready", status: "False" }] });
    await cluster.conditionIs("keep", "PodReady", "PodPending");
    await patchImage("keep", other);
    await becomes("keep", other);
    expect(await cluster.imageCheck("keep")).toBeUndefined();
  });

  test("the failed check of an image does not count as a failed clean-up", async () => {
    const { status } = await cluster.get<{ status: { conditions: { type: string; reason: string }[] } }>(
      "chatmailservers",
      "again",
    );
    const expiry = status.conditions.find(({ type }) => type === "ExpiryHealthy");
    expect(expiry?.reason).toBe("ExpiryNotYetRun");
    const { body } = await cluster.server.request<{ items: { metadata: { labels: Record<string, string> } }[] }>(
      "GET",
      `/apis/batch/v1/namespaces/${namespace}/jobs`,
    );
    expect(new Set(body.items.map(({ metadata }) => metadata.labels[labels.component]))).toEqual(new Set(["check"]));
  });
});
