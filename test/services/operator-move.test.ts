/**
 * A volume that is moved, against a real API server with the operator and the verb; kubelet,
 * volumes and jobs are played. The operator is killed between the steps.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { annotations } from "../../src/api/names.ts";
import type { KubeObject } from "../../src/kube/object.ts";
import type { LiveJob, LiveStatefulSet, LiveVolumeClaim } from "../../src/operator/server/live.ts";
import { apiServerIsMissing } from "../helpers/api-server.ts";
import { namespace, OperatorCluster, type RunningOperator } from "../helpers/operator-cluster.ts";
import { callPlugin, kubeconfigOf } from "../helpers/plugin.ts";
import { patienceMs, until } from "../helpers/until.ts";

const missing = apiServerIsMissing();
if (missing) console.warn(`skipped: ${missing}`);

const patience = { patienceMs: patienceMs.client };

describe.skipIf(missing !== undefined)("with a real API server", () => {
  let cluster: OperatorCluster;
  let operator: RunningOperator;
  const folder = mkdtempSync(join(tmpdir(), "move-"));
  const KUBECONFIG = join(folder, "kubeconfig");
  const chatmail = (...words: string[]) => callPlugin(words, { environment: { KUBECONFIG } });

  /** As after a node that fails: what it knew is known no more. */
  const killOperator = async () => {
    operator.kill();
    await operator.stop();
    operator = cluster.startOperator();
  };
  const claim = (name: string) => cluster.get<LiveVolumeClaim>("persistentvolumeclaims", name);
  const set = (name: string) => cluster.get<LiveStatefulSet>("statefulsets", name);
  const bind = async (name: string) => {
    await until(`claim ${name}`, () => cluster.exists("persistentvolumeclaims", name), patience);
    await cluster.change("persistentvolumeclaims", name, { spec: { volumeName: `pv-${name}` } });
    await cluster.setStatus("persistentvolumeclaims", name, { phase: "Bound", capacity: { storage: "1Gi" } });
  };
  const moveJobs = async (name: string) => {
    const selector = `chatmail.dev/server%3D${name},chatmail.dev/component%3Dmove`;
    const path = `/apis/batch/v1/namespaces/${namespace}/jobs?labelSelector=${selector}`;
    return (await cluster.server.request<{ items: LiveJob[] }>("GET", path)).body;
  };
  /** The job that copies now. */
  const copyJob = (name: string, pass: "first" | "rest") =>
    until(
      `the ${pass} copy of ${name}`,
      async () => {
        const { items } = await moveJobs(name);
        return items.find(
          ({ spec, status }) =>
            spec?.template.spec?.containers[0]?.command?.includes(pass) &&
            spec.ttlSecondsAfterFinished === undefined &&
            !status?.conditions?.length,
        );
      },
      patience,
    );
  const end = async (name: string, pass: "first" | "rest", type: "Complete" | "Failed" = "Complete") => {
    const job = await copyJob(name, pass);
    const [exitCode, message] = type === "Complete" ? [0, {}] : [3, { problem: "the volume is too small" }];
    await cluster.runJob(job.metadata.name, { exitCode, message });
    return job;
  };
  /** Plays the controller of StatefulSets: no pod is wanted, and none is there. */
  const stops = async (name: string) => {
    await until(`${name} to be stopped`, async () => (await set(name)).spec?.replicas === 0, patience);
    await cluster.remove("pods", `${name}-0?gracePeriodSeconds=0`);
    const { generation } = (await set(name)).metadata;
    await cluster.setStatus("statefulsets", name, { observedGeneration: generation, replicas: 0, readyReplicas: 0 });
  };
  const running = async (name: string) => {
    await cluster.makeServer(name, { domain: `_${name}.test`, storage: { storageClassName: "old" } });
    await cluster.setUp(name);
    await cluster.bindVolume(name);
    await cluster.runs(name);
  };
  const claimOfPod = async (name: string) =>
    (await set(name)).spec?.template.spec?.volumes?.find((each) => each.name === "data")?.persistentVolumeClaim
      ?.claimName;
  const startsOn = async (name: string, on: string) => {
    await until(
      `the pod of ${name} on ${on}`,
      async () => (await claimOfPod(name)) === on && (await set(name)).spec?.replicas === 1,
      patience,
    );
    await cluster.runs(name);
    await until("the status", async () => (await cluster.statusOf(name)).storage?.claimName === on, patience);
  };

  beforeAll(async () => {
    cluster = await OperatorCluster.open();
    operator = cluster.startOperator();
    writeFileSync(KUBECONFIG, kubeconfigOf(cluster.server, namespace), { mode: 0o600 });
  });
  afterAll(async () => {
    await operator?.stop();
    await cluster?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test("to another class and a smaller size, with an operator that is killed at each step", async () => {
    await running("nine");
    const { uid } = (await claim("nine-data")).metadata;
    const moving = chatmail("move-volume", "nine", "--class", "new", "--size", "1Gi");
    await until("the claim", () => cluster.exists("persistentvolumeclaims", "nine-data-2"), patience);
    await killOperator();
    expect((await claim("nine-data-2")).spec).toMatchObject({
      storageClassName: "new",
      resources: { requests: { storage: "1Gi" } },
    });
    const first = await copyJob("nine", "first");
    expect(JSON.stringify(first.spec?.template.spec?.volumes)).toMatch(/"nine-data".*"nine-data-2"/);
    expect((await set("nine")).spec?.replicas).toBe(1);
    await bind("nine-data-2");
    await end("nine", "first");
    await killOperator();
    await stops("nine");
    await killOperator();
    await cluster.conditionIs("nine", "Ready", "VolumeMoving");
    expect((await cluster.get<{ spec: { suspend: boolean } }>("cronjobs", "nine-expiry")).spec.suspend).toBe(true);
    await copyJob("nine", "rest");
    await killOperator();
    await end("nine", "rest");
    await killOperator();
    await startsOn("nine", "nine-data-2");
    const called = await moving;
    expect(called).toMatchObject({ code: 0 });
    expect(called.out).toContain("nine is on claim nine-data-2; the old volume is kept until");
    expect((await cluster.statusOf("nine")).storage).toMatchObject({
      claimUID: (await claim("nine-data-2")).metadata.uid,
      volumeName: "pv-nine-data-2",
    });
    expect((await claim("nine-data")).metadata.uid).toBe(uid);
    const cronJob = JSON.stringify(await cluster.get("cronjobs", "nine-expiry"));
    expect(cronJob).toContain('"claimName":"nine-data-2"');
    expect(cronJob).not.toContain('"suspend":true');
  });

  test("back to the old volume and forth, each once; and the old one is deleted when that is confirmed", async () => {
    const back = chatmail("move-volume", "nine", "--back");
    await stops("nine");
    await startsOn("nine", "nine-data");
    expect((await back).code).toBe(0);
    const again = await chatmail("move-volume", "nine");
    expect(again).toMatchObject({ code: 1 });
    expect(again.err).toContain("claim nine-data-2 is left from an earlier move");
    const confirmed = await chatmail("move-volume", "nine", "--confirm");
    expect(confirmed.out).toBe("deleted claim nine-data-2; nine is on nine-data\n");
    expect((await claim("nine-data")).metadata.deletionTimestamp).toBeUndefined();
    const { metadata } = await cluster.get<KubeObject>("chatmailservers", "nine");
    expect(metadata.annotations?.[annotations.moveVolume]).toBeUndefined();
  });

  test("a volume that is too small: the relay goes on, and the move can be tried again or given up", async () => {
    await running("ten");
    const moving = chatmail("move-volume", "ten");
    await bind("ten-data-2");
    await end("ten", "first", "Failed");
    const failed = await moving;
    expect(failed).toMatchObject({ code: 1 });
    expect(failed.err).toContain("the volume is too small");
    await cluster.conditionIs("ten", "StorageReady", "VolumeMoveFailed");
    expect((await cluster.condition("ten", "Ready"))?.status).toBe("True");
    const again = chatmail("move-volume", "ten", "--again");
    await end("ten", "first");
    await stops("ten");
    await end("ten", "rest", "Failed");
    expect((await again).err).toContain("the volume is too small");
    await startsOn("ten", "ten-data");
    const cancelled = await chatmail("move-volume", "ten", "--cancel");
    expect(cancelled.out).toContain("ten stays on claim ten-data");
    await cluster.conditionIs("ten", "StorageReady", "VolumeBound");
    expect((await chatmail("move-volume", "ten", "--confirm")).out).toContain("deleted claim ten-data-2");
  });

  test("a copy that was made before the relay ran again is not swapped in", async () => {
    await running("eleven");
    await chatmail("move-volume", "eleven", "--no-wait");
    await bind("eleven-data-2");
    await end("eleven", "first");
    await stops("eleven");
    const stale = await copyJob("eleven", "rest");
    await chatmail("move-volume", "eleven", "--cancel");
    await startsOn("eleven", "eleven-data");
    await cluster.runJob(stale.metadata.name, { exitCode: 0, message: {} });
    await cluster.change("chatmailservers", "eleven", {
      metadata: { annotations: { [annotations.moveVolume]: "eleven-data-2" } },
    });
    // the cluster removes what the operator has retired
    const removed = async () => {
      const { items } = await moveJobs("eleven");
      const retired = items.filter(({ spec }) => spec?.ttlSecondsAfterFinished === 0);
      for (const { metadata } of retired) {
        await cluster.remove("pods", `${metadata.name}-pod`);
        await cluster.remove("jobs", `${metadata.name}?propagationPolicy=Background`);
      }
      return items.every(({ metadata }) => metadata.uid !== stale.metadata.uid);
    };
    await until("the given up copy to be removed", removed, patience);
    await end("eleven", "first");
    await stops("eleven");
    const fresh = await copyJob("eleven", "rest");
    expect(fresh.metadata.name).not.toBe(stale.metadata.name);
    expect(await claimOfPod("eleven")).toBe("eleven-data");
  });

  test("what the verb refuses", async () => {
    expect((await chatmail("move-volume", "nine", "--back", "--confirm")).code).toBe(2);
    expect((await chatmail("move-volume", "nine", "--cancel")).err).toContain("no volume of nine is being moved");
    expect((await chatmail("move-volume", "nine", "--again")).err).toContain("no volume of nine is being moved");
    expect((await chatmail("move-volume", "nine", "--back")).code).toBe(4);
    expect((await chatmail("move-volume", "none")).code).toBe(4);
  });
});
