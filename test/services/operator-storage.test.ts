/** The volume of a server as the operator sees it, against a real API server: a volume that grows, one that can't, one that is lost. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { KubeObject } from "../../src/kube/object.ts";
import { apiServerIsMissing } from "../helpers/api-server.ts";
import { OperatorCluster, type RunningOperator } from "../helpers/operator-cluster.ts";
import { patienceMs, until } from "../helpers/until.ts";

const missing = apiServerIsMissing();
if (missing) console.warn(`skipped: ${missing}`);

const patience = { patienceMs: patienceMs.client };

interface Claim extends KubeObject {
  spec: { resources: { requests: { storage: string } }; volumeName?: string };
}

describe.skipIf(missing !== undefined)("with a real API server", () => {
  let cluster: OperatorCluster;
  let operator: RunningOperator;

  const requested = async (name: string) =>
    (await cluster.get<Claim>("persistentvolumeclaims", `${name}-data`)).spec.resources.requests.storage;
  const hasVolume = (name: string, capacity: string, more: object = {}) =>
    cluster.setStatus("persistentvolumeclaims", `${name}-data`, {
      phase: "Bound",
      capacity: { storage: capacity },
      ...more,
    });
  const running = async (name: string, spec: object = {}) => {
    await cluster.makeServer(name, { domain: `_${name}.test`, ...spec });
    await cluster.setUp(name);
    await cluster.bindVolume(name);
    await cluster.runs(name);
    await hasVolume(name, "10Gi");
  };

  beforeAll(async () => {
    cluster = await OperatorCluster.open();
    operator = cluster.startOperator();
    const growing = { metadata: { name: "growing" }, provisioner: "x.example/y", allowVolumeExpansion: true };
    await cluster.server.request("POST", "/apis/storage.k8s.io/v1/storageclasses", growing);
  });
  afterAll(async () => {
    await operator?.stop();
    await cluster?.close();
  });

  describe("storage.size", () => {
    test("on a class that can't grow: the status says so, every other edit is applied, and it may be taken back", async () => {
      await running("stiff");
      await cluster.patch("stiff", {
        storage: { size: "20Gi", reclaimPolicy: "Delete" },
        accounts: { sendBurst: 21 },
        resources: { web: { requests: { memory: "24Mi" } } },
      });
      const { message } = await cluster.conditionIs("stiff", "StorageReady", "ResizeRefused");
      expect(message).toMatch(
        /^the volume keeps its 10Gi and is not changed to 20Gi: .*resize.*Set storage\.size back/,
      );
      await cluster.conditionIs("stiff", "Stalled", "ResizeRefused");
      const plan = await cluster.get<{ data: Record<string, string> }>("configmaps", "stiff-plan");
      expect(plan.data["plan.json"]).toContain('"sendBurst": 21');
      expect(JSON.stringify(await cluster.get("statefulsets", "stiff"))).toContain('"24Mi"');
      const claim = await cluster.get<Claim>("persistentvolumeclaims", "stiff-data");
      expect(claim.metadata.ownerReferences).toHaveLength(1);
      expect(claim.spec.resources.requests.storage).toBe("10Gi");
      await cluster.patch("stiff", { storage: { size: "10Gi" } });
      await cluster.conditionIs("stiff", "StorageReady", "VolumeBound");
      await cluster.runs("stiff");
      await cluster.conditionIs("stiff", "Stalled", "NotStalled");
    });

    test("on a class that can: each step is shown, and Ready stays True", async () => {
      await running("grows", { storage: { className: "growing" } });
      await cluster.patch("grows", { storage: { size: "20Gi" } });
      await until("the request", async () => (await requested("grows")) === "20Gi", patience);
      await cluster.conditionIs("grows", "Reconciling", "VolumeResizing");
      const error = { type: "ControllerResizeError", status: "True", message: "quota of the cloud" };
      await hasVolume("grows", "10Gi", { conditions: [error] });
      const says = (text: string) =>
        until(text, async () => (await cluster.condition("grows", "StorageReady"))?.message.includes(text), patience);
      await says("the volume has 10Gi and grows to 20Gi: quota of the cloud");
      await hasVolume("grows", "10Gi", { conditions: [{ type: "FileSystemResizePending", status: "True" }] });
      await says("the file system follows on the node");
      expect((await cluster.condition("grows", "Ready"))?.status).toBe("True");
      expect((await cluster.statusOf("grows")).storage).toMatchObject({ requested: "20Gi", capacity: "10Gi" });
      await hasVolume("grows", "20Gi", { conditions: [] });
      await cluster.conditionIs("grows", "StorageReady", "VolumeBound");
      await cluster.conditionIs("grows", "Reconciling", "Settled");
    });

    test("that the driver can't reach is taken back to what it can", async () => {
      await running("limited", { storage: { className: "growing" } });
      await cluster.patch("limited", { storage: { size: "90Ti" } });
      await until("the request", async () => (await requested("limited")) === "90Ti", patience);
      await hasVolume("limited", "10Gi", { allocatedResourceStatuses: { storage: "ControllerResizeInfeasible" } });
      await cluster.conditionIs("limited", "Stalled", "ResizeRefused");
      await cluster.patch("limited", { storage: { size: "12Gi" } });
      await until("the request", async () => (await requested("limited")) === "12Gi", patience);
    });

    test("below what the volume has changes nothing, and is said", async () => {
      await running("large");
      await cluster.patch("large", { storage: { size: "2Gi" } });
      const isSaid = async () => (await cluster.condition("large", "StorageReady"))?.message.includes("2Gi");
      await until("the message", isSaid, patience);
      expect(await requested("large")).toBe("10Gi");
      await cluster.conditionIs("large", "Ready", "Serving");
    });

    test("of a claim that is not bound waits until it is", async () => {
      await cluster.makeServer("unbound", { domain: "_unbound.test", storage: { className: "growing" } });
      await cluster.setUp("unbound");
      await cluster.patch("unbound", { storage: { size: "20Gi" } });
      const isSeen = async () => (await cluster.condition("unbound", "Ready"))?.observedGeneration === 2;
      await until("the edit", isSeen, patience);
      expect((await cluster.condition("unbound", "StorageReady"))?.reason).toBe("VolumePending");
      await cluster.bindVolume("unbound");
      await hasVolume("unbound", "10Gi");
      await until("the request", async () => (await requested("unbound")) === "20Gi", patience);
    });
  });
});
