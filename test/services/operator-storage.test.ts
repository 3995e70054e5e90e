/**
 * The volume of a server as the operator sees it, against a real API server: a volume that grows,
 * one that can't, one that is lost.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeRsaKey } from "../../src/dns/dkim-key.ts";
import type { KubeObject } from "../../src/kube/object.ts";
import { apiServerIsMissing } from "../helpers/api-server.ts";
import {
  base64,
  type LiveSecret,
  namespace,
  OperatorCluster,
  type RunningOperator,
} from "../helpers/operator-cluster.ts";
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
        storage: { size: "20Gi" },
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
      expect(claim.spec.resources.requests.storage).toBe("10Gi");
      await cluster.patch("stiff", { storage: { size: "10Gi" } });
      await cluster.conditionIs("stiff", "StorageReady", "VolumeBound");
      await cluster.runs("stiff");
      await cluster.conditionIs("stiff", "Stalled", "NotStalled");
    });

    test("on a class that can: each step is shown, and Ready stays True", async () => {
      await running("grows", { storage: { storageClassName: "growing" } });
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
      await running("limited", { storage: { storageClassName: "growing" } });
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
      await cluster.makeServer("unbound", { domain: "_unbound.test", storage: { storageClassName: "growing" } });
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

  /** Somebody deletes the claim, and the pod with it, as far as the API server is concerned. */
  const loseVolume = async (name: string) => {
    await cluster.remove("persistentvolumeclaims", `${name}-data`);
    await cluster.conditionIs(name, "StorageReady", "VolumeEnding");
    await cluster.conditionIs(name, "Stalled", "VolumeEnding");
    await cluster.remove("pods", `${name}-0?gracePeriodSeconds=0`);
    await cluster.change("persistentvolumeclaims", `${name}-data`, { metadata: { finalizers: null } });
    await until("the claim to be gone", async () => !(await cluster.exists("persistentvolumeclaims", `${name}-data`)));
  };
  const replicas = async (name: string) =>
    (await cluster.get<{ spec: { replicas: number } }>("statefulsets", name)).spec.replicas;
  const accept = (name: string, value: string | null) =>
    cluster.change("chatmailservers", name, { metadata: { annotations: { "chatmail.dev/accept-data-loss": value } } });
  const claimOn = (name: string, volumeName: string | undefined) =>
    cluster.make("persistentvolumeclaims", {
      metadata: { name: `${name}-data`, namespace },
      spec: {
        accessModes: ["ReadWriteOnce"],
        resources: { requests: { storage: "10Gi" } },
        ...(volumeName && { volumeName }),
      },
    });
  /** The operator has been at work since: a server that comes later is set up. */
  let later = 0;
  const operatorHasWorked = async () => {
    const name = `later-${++later}`;
    await cluster.makeServer(name, { domain: `_${name}.test` });
    await cluster.setUp(name);
  };

  describe("a volume that is lost", () => {
    test("while the pod keeps it: nothing replaces the pod", async () => {
      await running("ends");
      const before = (await cluster.get("statefulsets", "ends")).metadata.generation;
      await cluster.remove("persistentvolumeclaims", "ends-data");
      const { message } = await cluster.conditionIs("ends", "StorageReady", "VolumeEnding");
      expect(message).toContain("Set the reclaim policy of volume pv-ends to Retain");
      await cluster.patch("ends", { resources: { web: { requests: { memory: "24Mi" } } } });
      const isJudged = async () => (await cluster.condition("ends", "Ready"))?.observedGeneration === 2;
      await until("the edit to be judged", isJudged, patience);
      expect((await cluster.get("statefulsets", "ends")).metadata.generation).toBe(before);
    });

    test("is not replaced by an empty one, and no pod waits to start on whatever comes", async () => {
      await running("loses");
      expect((await cluster.statusOf("loses")).storage).toMatchObject({
        claimUID: (await cluster.get("persistentvolumeclaims", "loses-data")).metadata.uid,
        volumeName: "pv-loses",
      });
      await loseVolume("loses");
      const { message } = await cluster.conditionIs("loses", "Stalled", "VolumeLost");
      expect(message).toContain("kubectl -n chatmail annotate cms loses chatmail.dev/accept-data-loss=volume");
      await cluster.conditionIs("loses", "Ready", "VolumeLost");
      await cluster.conditionIs("loses", "StorageReady", "VolumeLost");
      await until("no pod to be wanted", async () => (await replicas("loses")) === 0, patience);
      await cluster.patch("loses", { accounts: { sendBurst: 21 } });
      await operatorHasWorked();
      expect(await cluster.exists("persistentvolumeclaims", "loses-data")).toBe(false);
      expect((await cluster.statusOf("loses")).storage).toMatchObject({ volumeName: "pv-loses" });
    });

    test("is remembered while the spec is wrong, while nothing is managed, and by the next operator", async () => {
      await cluster.patch("loses", { image: { reference: "elsewhere.example/relay:1" } });
      await cluster.conditionIs("loses", "Ready", "ImageNotAllowed");
      await cluster.patch("loses", { image: null, management: "Unmanaged" });
      await cluster.conditionIs("loses", "Paused", "Unmanaged");
      await operator.stop();
      await cluster.patch("loses", { management: "Managed" });
      operator = cluster.startOperator();
      await cluster.conditionIs("loses", "Ready", "VolumeLost");
      expect(await cluster.exists("persistentvolumeclaims", "loses-data")).toBe(false);
    });

    test("is used again when its claim is restored, also without our labels", async () => {
      await claimOn("loses", "pv-loses");
      await cluster.setStatus("persistentvolumeclaims", "loses-data", { phase: "Bound" });
      // what has no label is not watched: any change of the server makes the operator look
      await cluster.patch("loses", { accounts: { sendBurst: 22 } });
      await until("a pod to be wanted", async () => (await replicas("loses")) === 1, patience);
      await cluster.runs("loses");
      const { metadata } = await cluster.get("persistentvolumeclaims", "loses-data");
      expect(metadata.labels).toMatchObject({ "chatmail.dev/server": "loses" });
      expect((await cluster.statusOf("loses")).storage).toMatchObject({ claimUID: metadata.uid });
    });

    test("is given up when somebody accepts it, for this once", async () => {
      await running("accepts");
      await loseVolume("accepts");
      await cluster.conditionIs("accepts", "Ready", "VolumeLost");
      await accept("accepts", "volume");
      const isThere = () => cluster.exists("persistentvolumeclaims", "accepts-data");
      await until("an empty volume", isThere, patience);
      await cluster.bindVolume("accepts", "pv-second");
      await until("a pod to be wanted", async () => (await replicas("accepts")) === 1, patience);
      await cluster.runs("accepts");
      await loseVolume("accepts");
      const { message } = await cluster.conditionIs("accepts", "Stalled", "VolumeLost");
      expect(message).toContain("chatmail.dev/accept-data-loss-, then");
      await accept("accepts", null);
      await operatorHasWorked();
      expect(await isThere()).toBe(false);
      await accept("accepts", "volume");
      await until("an empty volume", isThere, patience);
    });

    test("is not taken for one that somebody else put in its place; accepted, that one is used", async () => {
      await running("swapped");
      await operator.stop();
      await cluster.change("persistentvolumeclaims", "swapped-data", { metadata: { finalizers: null } });
      const { labels, annotations } = (await cluster.get("persistentvolumeclaims", "swapped-data")).metadata;
      await cluster.remove("persistentvolumeclaims", "swapped-data");
      await claimOn("swapped", "pv-other");
      await cluster.change("persistentvolumeclaims", "swapped-data", { metadata: { labels, annotations } });
      await cluster.setStatus("persistentvolumeclaims", "swapped-data", { phase: "Bound" });
      // the pod has been started on it
      await cluster.bringUp("swapped");
      operator = cluster.startOperator();
      const { message } = await cluster.conditionIs("swapped", "Stalled", "VolumeLost");
      expect(message).toContain("it had volume pv-swapped with the mailboxes, and has pv-other");
      await until("no pod to be wanted", async () => (await replicas("swapped")) === 0, patience);
      await accept("swapped", "volume");
      await until("a pod to be wanted", async () => (await replicas("swapped")) === 1, patience);
      const isTaken = async () => (await cluster.statusOf("swapped")).storage?.volumeName === "pv-other";
      await until("the volume to be taken", isTaken, patience);
    });
  });

  describe("a DKIM key that is lost", () => {
    const secret = (name: string) => cluster.get<LiveSecret>("secrets", `${name}-dkim`);
    const generation = async (name: string) => (await cluster.get("statefulsets", name)).metadata.generation;
    const record = async (name: string) => (await cluster.statusOf(name)).dkim?.keys?.[0]?.record?.value;

    test("is not replaced by another, and its pod goes on; restored, the server goes on", async () => {
      await running("unsigned");
      const before = {
        secret: await secret("unsigned"),
        set: await generation("unsigned"),
        record: await record("unsigned"),
      };
      await cluster.remove("secrets", "unsigned-dkim");
      const { message } = await cluster.conditionIs("unsigned", "Stalled", "DKIMKeyLost");
      expect(message).toContain("accept-data-loss=dkim");
      await cluster.patch("unsigned", {
        accounts: { sendBurst: 21 },
        resources: { web: { requests: { memory: "24Mi" } } },
      });
      await operatorHasWorked();
      expect(await cluster.exists("secrets", "unsigned-dkim")).toBe(false);
      expect(await generation("unsigned")).toBe(before.set);
      expect(await record("unsigned")).toBe(before.record);
      const { metadata, data = {}, type = "" } = before.secret;
      await cluster.makeSecret("unsigned-dkim", type, data, { labels: metadata.labels ?? {} });
      await cluster.runs("unsigned");
      expect(await record("unsigned")).toBe(before.record);
    });

    test("is used again when it is restored without our labels", async () => {
      const { data = {} } = await secret("unsigned");
      await cluster.remove("secrets", "unsigned-dkim");
      await cluster.conditionIs("unsigned", "Stalled", "DKIMKeyLost");
      await cluster.makeSecret("unsigned-dkim", "Opaque", data);
      await cluster.patch("unsigned", { accounts: { sendBurst: 22 } });
      await cluster.conditionIs("unsigned", "Ready", "Serving");
      expect((await secret("unsigned")).metadata.labels).toMatchObject({ "chatmail.dev/server": "unsigned" });
    });

    test("is noticed where another is put in its place, and where the Secret is emptied and then deleted", async () => {
      const { data = {} } = await secret("unsigned");
      const other = base64(await makeRsaKey());
      const set = await generation("unsigned");
      await cluster.change("secrets", "unsigned-dkim", { data: { "rsa.pem": other } });
      await cluster.conditionIs("unsigned", "Stalled", "DKIMKeyLost");
      expect(await generation("unsigned")).toBe(set);
      await cluster.change("secrets", "unsigned-dkim", { data: { "rsa.pem": null } });
      await cluster.conditionIs("unsigned", "Stalled", "DkimKeyInvalid");
      await cluster.remove("secrets", "unsigned-dkim");
      await cluster.conditionIs("unsigned", "Stalled", "DKIMKeyLost");
      await cluster.makeSecret("unsigned-dkim", "Opaque", data);
      await cluster.patch("unsigned", { accounts: { sendBurst: 23 } });
      await cluster.conditionIs("unsigned", "Ready", "Serving");
    });

    test("is given up when somebody accepts it: there is a new one, and its record is shown", async () => {
      const before = await record("unsigned");
      await cluster.remove("secrets", "unsigned-dkim");
      await cluster.conditionIs("unsigned", "Stalled", "DKIMKeyLost");
      await accept("unsigned", "dkim");
      await cluster.runs("unsigned");
      const after = await record("unsigned");
      expect(after).toContain("v=DKIM1");
      expect(after).not.toBe(before);
    });

    test("is not replaced either where a cluster was restored without the status and without the Secret", async () => {
      const spec = { domain: "_returns.test" };
      await running("returns", spec);
      const before = await secret("returns");
      const claim = await cluster.get("persistentvolumeclaims", "returns-data");
      expect(claim.metadata.annotations?.["chatmail.dev/dkim-fingerprint"]).toMatch(/^[0-9a-f]{64}$/);
      await cluster.removeServer("returns", operator.world);
      await cluster.remove("pods", "returns-0?gracePeriodSeconds=0");
      await cluster.remove("secrets", "returns-dkim");
      await cluster.makeServer("returns", spec);
      await cluster.conditionIs("returns", "Stalled", "DKIMKeyLost");
      expect(await cluster.exists("secrets", "returns-dkim")).toBe(false);
      const { labels, annotations } = before.metadata;
      await cluster.makeSecret("returns-dkim", "Opaque", before.data ?? {}, {
        ...(labels && { labels }),
        ...(annotations && { annotations }),
      });
      await cluster.setUp("returns");
      await cluster.runs("returns");
    });

    test("of a server that is deleted with all and created again at once, nothing counts as lost", async () => {
      const spec = { domain: "_again.test", storage: { reclaimPolicy: "Delete" } };
      await running("again", spec);
      const { uid } = (await cluster.get("chatmailservers", "again")).metadata;
      await cluster.change("chatmailservers", "again", {
        metadata: { annotations: { "chatmail.dev/force-delete": "yes" } },
      });
      await cluster.removeServer("again", operator.world);
      await cluster.makeServer("again", spec);
      // those of the first one go with it
      await cluster.conditionIs("again", "StorageReady", "VolumePending");
      const kept = [
        ["persistentvolumeclaims", "again-data"],
        ["secrets", "again-tls"],
        ["secrets", "again-dkim"],
      ] as const;
      for (const [kind, name] of kept) {
        expect((await cluster.get(kind, name)).metadata.ownerReferences?.map((owner) => owner.uid)).toEqual([uid]);
        await cluster.change(kind, name, { metadata: { finalizers: null } });
        await cluster.remove(kind, name);
      }
      await cluster.setUp("again");
      await cluster.bindVolume("again", "pv-second");
      await cluster.runs("again");
      expect((await cluster.statusOf("again")).storage).toMatchObject({ volumeName: "pv-second" });
    });

    test("the TLS key, invites and the TURN secret are made again: nobody loses an address or mail by that", async () => {
      await running("renewed", { services: { turn: { enabled: true } }, accounts: { registration: "Invite" } });
      const names = ["renewed-tls", "renewed-turn", "renewed-invites"];
      for (const name of names) {
        const { uid } = (await cluster.get("secrets", name)).metadata;
        await cluster.remove("secrets", name);
        const isBack = async () => {
          const found = await cluster.get("secrets", name);
          return found.metadata?.uid !== undefined && found.metadata.uid !== uid;
        };
        await until(`another ${name}`, isBack, patience);
      }
    });
  });
});
