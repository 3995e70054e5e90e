/**
 * A relay pod that does not start, or whose node is lost, and jobs beside it, as the operator tells
 * of them, against a real API server.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { CronJob } from "../../src/kube/kinds.ts";
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

test.skipIf(missing)("backups: what is missing, what failed and what was made is told", async () => {
  const recipient = "age1lvyvwawkr0mcnnnncaghunadrqkmuf9e6507x9y920xxpp866cnql7dp2z";
  const s3 = { bucket: "backups", credentialsSecretName: "store", endpoint: "http://minio.storage:9000" };
  await cluster.makeServer("saved", { domain: "_saved.test", backup: { destination: { s3 } } });
  await cluster.setUp("saved");
  await cluster.runs("saved");
  await cluster.conditionIs("saved", "BackupReady", "BackupUnencrypted");
  await cluster.patch("saved", { backup: { encryption: { ageRecipients: [recipient] } } });
  await cluster.conditionIs("saved", "BackupReady", "BackupSecretMissing");
  await cluster.makeSecret("store", "Opaque", {});
  await cluster.conditionIs("saved", "BackupReady", "BackupNotYetMade");

  // plays the controller of CronJobs
  const { metadata, spec } = await cluster.get<CronJob>("cronjobs", "saved-backup");
  const owner = { apiVersion: "batch/v1", kind: "CronJob", name: metadata.name, uid: metadata.uid, controller: true };
  const job = { ...spec?.jobTemplate, metadata: { ...spec?.jobTemplate.metadata, ownerReferences: [owner] } };
  const run = async (name: string, exitCode: number, message: object) => {
    await cluster.make("jobs", { ...job, apiVersion: "batch/v1", kind: "Job", metadata: { ...job.metadata, name } });
    await cluster.runJob(name, { exitCode, message });
  };
  await run("saved-backup-1", 1, { problem: "AccessDenied: not yours" });
  const { message } = await cluster.conditionIs("saved", "BackupReady", "BackupFailed");
  expect(message).toBe("job saved-backup-1 failed: AccessDenied: not yours");
  expect((await cluster.condition("saved", "Ready"))?.status).toBe("True");
  expect((await cluster.condition("saved", "Stalled"))?.status).toBe("False");
  const report = { name: "saved-20261129T221800Z-identity.tar.gz.age", size: 5_000, accounts: 3, messages: 0 };
  await run("saved-backup-2", 0, report);
  const lastSuccessfulTime = new Date().toISOString().replace(/[.]\d+Z$/, "Z");
  await cluster.setStatus("cronjobs", "saved-backup", { lastSuccessfulTime });
  await cluster.conditionIs("saved", "BackupReady", "BackupMade");
  const { size: bytes, ...rest } = report;
  expect((await cluster.statusOf("saved")).backup).toMatchObject({ ...rest, bytes });

  await cluster.patch("saved", { backup: { drill: { ageIdentitySecretName: "age" } } });
  await cluster.conditionIs("saved", "BackupReady", "BackupSecretMissing");
  await cluster.makeSecret("age", "Opaque", {});
  await cluster.conditionIs("saved", "BackupReady", "BackupMade");
  await until("the drill", () => cluster.exists("cronjobs", "saved-backup-drill"), { patienceMs: patienceMs.client });

  await cluster.patch("saved", { backup: null });
  const isSuspended = async () => (await cluster.get<CronJob>("cronjobs", "saved-backup")).spec?.suspend;
  await until("no more backups", isSuspended, { patienceMs: patienceMs.client });
  const isSilent = async () => (await cluster.condition("saved", "BackupReady")) === undefined;
  await until("nothing to be said of them", isSilent, { patienceMs: patienceMs.client });
});

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
