/**
 * A relay pod that does not start, or whose node is lost, as the operator tells of it, against a
 * real API server.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { KubeObject } from "../../src/kube/object.ts";
import { apiServerIsMissing } from "../helpers/api-server.ts";
import { namespace, OperatorCluster, type RunningOperator } from "../helpers/operator-cluster.ts";
import { patienceMs, until } from "../helpers/until.ts";

const missing = apiServerIsMissing();
if (missing) console.warn(`skipped: ${missing}`);

let cluster: OperatorCluster;
let operator: RunningOperator;

let events = 0;
/** As kubelet and controllers write them. */
const event = async (about: { kind: string; name: string; uid?: string }, reason: string, message: string) => {
  const name = `event-${++events}`;
  await cluster.make("events", {
    metadata: { name, namespace },
    involvedObject: { ...about, namespace },
    reason,
    message,
    type: "Warning",
    lastTimestamp: new Date(Date.now() + events * 1_000).toISOString().replace(/[.]\d+Z$/, "Z"),
  });
};
/** Plays the kubelet that begins with a pod. */
const startsPod = async (name: string) => {
  await cluster.bringUp(name);
  await cluster.setStatus("pods", `${name}-0`, { phase: "Pending", conditions: [{ type: "Ready", status: "False" }] });
  const { uid = "" } = (await cluster.get("pods", `${name}-0`)).metadata;
  return { kind: "Pod", name: `${name}-0`, uid };
};
const says = (name: string, text: string) =>
  until(text, async () => (await cluster.condition(name, "PodReady"))?.message.includes(text), {
    patienceMs: patienceMs.client,
  });

beforeAll(async () => {
  if (missing) return;
  cluster = await OperatorCluster.open();
  operator = cluster.startOperator();
});
afterAll(async () => {
  await operator?.stop();
  await cluster?.close();
});

test.skipIf(missing)("each cause is told as it comes, and none of the pod that was there before", async () => {
  await cluster.makeServer("starts", { domain: "_starts.test" });
  await cluster.setUp("starts");
  const first = await startsPod("starts");
  await event(first, "FailedMount", 'MountVolume.SetUp failed for volume "tls" : secret "starts-tls" not found');
  await cluster.conditionIs("starts", "PodReady", "ReferenceMissing");
  await says("starts", "the pod waits for Secret starts-tls, which does not exist");
  await event(first, "FailedMount", "Unable to attach or mount volumes: unmounted volumes=[tls]: timed out");
  await event(first, "FailedCreatePodSandBox", "plugin failed: no IPs left");
  await cluster.conditionIs("starts", "PodReady", "SandboxFailed");
  await event(first, "FailedAttachVolume", 'Multi-Attach error for volume "pvc-1"');
  await cluster.conditionIs("starts", "PodReady", "VolumeUnavailable");
  await cluster.conditionIs("starts", "Ready", "VolumeUnavailable");

  await startsPod("starts");
  await cluster.conditionIs("starts", "PodReady", "PodPending");
  await cluster.setStatus("pods", "starts-0", { phase: "Running", conditions: [{ type: "Ready", status: "True" }] });
  await cluster.conditionIs("starts", "Ready", "Serving");
});

test.skipIf(missing)("a pod that the cluster refuses is told with what to do, as Stalled", async () => {
  await cluster.makeServer("quota", { domain: "_quota.test" });
  await cluster.setUp("quota");
  const message =
    'create Pod quota-0 in StatefulSet quota failed error: pods "quota-0" is forbidden: exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1';
  await event({ kind: "StatefulSet", name: "quota" }, "FailedCreate", message);
  await cluster.conditionIs("quota", "PodReady", "PodForbidden");
  await says("quota", "The namespace's ResourceQuota leaves no room for the pod");
  await cluster.setStatus("persistentvolumeclaims", "quota-data", { phase: "Bound" });
  await cluster.conditionIs("quota", "Stalled", "PodForbidden");
});

test.skipIf(missing)(
  "a node that is lost is named and nothing is deleted; when it is back, the server is Ready",
  async () => {
    await cluster.makeServer("node", { domain: "_node.test" });
    await cluster.setUp("node");
    await cluster.runs("node");
    const { uid } = (await cluster.get("pods", "node-0")).metadata;
    const marked = [
      { type: "Ready", status: "False", lastTransitionTime: "2026-11-29T11:50:00Z" },
      { type: "ContainersReady", status: "True" },
    ];
    await cluster.setStatus("pods", "node-0", { conditions: marked });
    await cluster.conditionIs("node", "Stalled", "NodeLost");
    await says("node", "node node-1 does not answer since 2026-11-29T11:50:00Z");
    expect((await cluster.get<KubeObject>("pods", "node-0")).metadata).toMatchObject({ uid });
    await cluster.setStatus("pods", "node-0", { conditions: [{ type: "Ready", status: "True" }] });
    await cluster.conditionIs("node", "Ready", "Serving");
  },
);

test.skipIf(missing)(
  "of events about other pods only the name is kept, and of those about ours no more than is shown",
  async () => {
    await event({ kind: "Pod", name: "somebody-elses-7d8f" }, "FailedMount", "x".repeat(1_000));
    await event({ kind: "Pod", name: "long-0" }, "FailedMount", "y".repeat(1_020));
    await event({ kind: "Pod", name: "long-0" }, "Unhealthy", "z");
    const [, , pods] = operator.world.eventStores;
    const about = (name: string) => operator.world.eventsAbout({ kind: "Pod", namespace, name });
    await until("both", () => about("somebody-elses-7d8f").length === 1 && about("long-0").length === 1);
    expect(about("somebody-elses-7d8f")[0]?.message).toBe("");
    expect(about("long-0")[0]?.message).toHaveLength(1_000);
    expect(pods?.filled).toBe(true);
  },
);
