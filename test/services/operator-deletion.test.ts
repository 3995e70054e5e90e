/**
 * The end of a server, against a real API server: what is waited for, and what becomes of volume
 * and keys. There are no other controllers and no kubelet: the test plays them.
 */
import { createServer, type Server } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chatmailServer, deletionFinalizer } from "../../src/api/names.ts";
import { ApiError } from "../../src/kube/client.ts";
import type { KubeObject } from "../../src/kube/object.ts";
import { ports } from "../../src/mail/ports.ts";
import { releaseServers } from "../../src/operator/release.ts";
import type { LiveEvent } from "../../src/operator/server/live.ts";
import { keepFinalizer, releaseWithNamespace } from "../../src/operator/server/retire.ts";
import { planHash } from "../../src/pod/plan-files.ts";
import { apiServerIsMissing } from "../helpers/api-server.ts";
import { childKinds, namespace, OperatorCluster, pathOf, type RunningOperator } from "../helpers/operator-cluster.ts";
import { patienceMs, until } from "../helpers/until.ts";

const missing = apiServerIsMissing();
if (missing) console.warn(`skipped: ${missing}`);

const patience = { patienceMs: patienceMs.client, everyMs: 50 };
const plural = chatmailServer.plural;

type LiveJob = KubeObject & {
  spec: { template: { spec: { containers: { name: string; command: string[]; image: string }[] } } };
};

describe.skipIf(missing !== undefined)("with a real API server", () => {
  let cluster: OperatorCluster;
  let operator: RunningOperator;

  const server = (name: string) => cluster.get<KubeObject>(plural, name);
  const isGone = (name: string) =>
    until(`${name} to be gone`, async () => !(await cluster.exists(plural, name)), patience);
  const ownersOf = async (kind: string, name: string) =>
    (await cluster.get(kind, name)).metadata.ownerReferences?.map(({ uid }) => uid) ?? [];
  const annotate = (name: string, key: string, value: string | null) =>
    cluster.change(plural, name, { metadata: { annotations: { [`chatmail.dev/${key}`]: value } } });
  const setUp = async (name: string, policy: string, spec: object = {}) => {
    await cluster.makeServer(name, { domain: `_${name}.test`, storage: { reclaimPolicy: policy }, ...spec });
    await cluster.setUp(name);
    await cluster.bindVolume(name);
  };
  const running = async (name: string, policy: string) => {
    await setUp(name, policy);
    await cluster.runs(name);
  };
  const says = (name: string, text: string) =>
    until(text, async () => (await cluster.condition(name, "Ready"))?.message.includes(text), patience);
  const planOf = async (name: string) =>
    (await cluster.get<{ data: Record<string, string> }>("configmaps", `${name}-plan`)).data["plan.json"] ?? "";
  const jobOf = async (name: string) => `${name}-erase-${(await server(name)).metadata.uid?.slice(0, 8)}`;
  const endPod = (name: string) =>
    cluster.server.request("DELETE", `${pathOf("pods", `${name}-0`)}?gracePeriodSeconds=0`);
  /** Plays the garbage collector, for what belongs to a server that is gone. */
  const collect = async (name: string) => {
    for (const [kind, ending] of childKinds)
      if (kind !== "persistentvolumeclaims") await cluster.remove(kind, `${name}${ending}`);
  };
  const replicas = async (name: string) =>
    (await cluster.get<{ spec: { replicas: number } }>("statefulsets", name)).spec.replicas;
  const notesAbout = async (name: string) => {
    const { items } = await cluster.get<{ items: LiveEvent[] }>("events", "");
    return items.filter(({ involvedObject, reason }) => involvedObject.name === name && reason === "Deleting");
  };
  const note = (name: string, text: string, type = "Normal") =>
    until(
      `an event: ${text}`,
      async () => (await notesAbout(name)).find((each) => each.message?.includes(text) && each.type === type),
      patience,
    );

  beforeAll(async () => {
    cluster = await OperatorCluster.open();
    operator = cluster.startOperator();
  });
  afterAll(async () => {
    await operator?.stop();
    await cluster?.close();
  });

  describe("the finalizer", () => {
    test("is on servers whose deletion has something to do, and follows the policy", async () => {
      await setUp("policy", "Retain");
      expect((await server("policy")).metadata.finalizers).toBeUndefined();
      for (const policy of ["Delete", "RetainIdentity"]) {
        await cluster.patch("policy", { storage: { reclaimPolicy: policy } });
        const has = async () => (await server("policy")).metadata.finalizers?.includes(deletionFinalizer);
        await until("the finalizer", has, patience);
      }
      await cluster.patch("policy", { storage: { reclaimPolicy: "Retain" } });
      await until("no finalizer", async () => !(await server("policy")).metadata.finalizers, patience);
      await cluster.remove(plural, "policy");
      await isGone("policy");
    });

    test("leaves those of others alone, comes back, and costs no write at rest", async () => {
      await cluster.makeServer("beside", { domain: "_beside.test", storage: { reclaimPolicy: "Delete" } });
      await cluster.setUp("beside");
      const both = [deletionFinalizer, "example.org/theirs"];
      await cluster.change(plural, "beside", { metadata: { finalizers: both } });
      await cluster.bindVolume("beside");
      await cluster.runs("beside");
      expect((await server("beside")).metadata.finalizers?.toSorted()).toEqual(both.toSorted());
      await cluster.change(plural, "beside", { metadata: { finalizers: ["example.org/theirs"] } });
      const isBack = async () => (await server("beside")).metadata.finalizers?.length === 2;
      await until("ours to be back", isBack, patience);
      const before = await cluster.versions("beside");
      await annotate("beside", "log-level", "debug");
      await until("a reconcile", () => operator.world.stores.servers.at(`${namespace}/beside`)?.metadata.annotations);
      await cluster.makeServer("after-beside", { domain: "_after-beside.test" });
      await cluster.setUp("after-beside");
      const { [`${plural}/beside`]: _, ...children } = await cluster.versions("beside");
      const { [`${plural}/beside`]: __, ...childrenBefore } = before;
      expect(children).toEqual(childrenBefore);
      await annotate("beside", "force-delete", "yes");
      await cluster.remove(plural, "beside");
      const left = async () => (await server("beside")).metadata.finalizers?.join();
      await until("theirs alone", async () => (await left()) === "example.org/theirs", patience);
      await cluster.change(plural, "beside", { metadata: { finalizers: null } });
    });

    test("that a backup or a person has applied too is taken away all the same", async () => {
      await setUp("restored", "Delete");
      const path = `${pathOf(plural, "restored")}?fieldManager=velero`;
      const { apiVersion, kind } = await server("restored");
      const theirs = { apiVersion, kind, metadata: { name: "restored", finalizers: [deletionFinalizer] } };
      const applied = await cluster.server.request("PATCH", path, theirs, "application/apply-patch+yaml");
      expect(applied.status).toBe(200);
      await annotate("restored", "force-delete", "yes");
      await cluster.remove(plural, "restored");
      await isGone("restored");
    });
  });

  describe("what is decided", () => {
    test("Delete: claim and keys are given to the server, which takes them with it; nothing before", async () => {
      await setUp("whole", "Delete", { services: { turn: { enabled: true } } });
      const { uid } = (await server("whole")).metadata;
      const kept = [
        ["persistentvolumeclaims", "whole-data"],
        ["secrets", "whole-tls"],
        ["secrets", "whole-dkim"],
        ["secrets", "whole-turn"],
      ] as const;
      for (const [kind, name] of kept) expect([name, await ownersOf(kind, name)]).toEqual([name, []]);
      await cluster.remove(plural, "whole");
      await isGone("whole");
      for (const [kind, name] of kept) expect([name, await ownersOf(kind, name)]).toEqual([name, [uid]]);
      await note("whole", "mailboxes and keys are deleted");
    });

    test("the policy of the last moment counts, also where the objects are those of an earlier version", async () => {
      await setUp("late", "Delete");
      const { uid = "" } = (await server("late")).metadata;
      const { apiVersion, kind } = await server("late");
      const owner = { apiVersion, kind, name: "late", uid, controller: true };
      await operator.stop();
      for (const [kind, name] of [
        ["persistentvolumeclaims", "late-data"],
        ["secrets", "late-dkim"],
      ] as const)
        await cluster.change(kind, name, { metadata: { ownerReferences: [owner] } });
      await cluster.patch("late", { storage: { reclaimPolicy: "Retain" } });
      await cluster.remove(plural, "late");
      operator = cluster.startOperator();
      await isGone("late");
      expect(await ownersOf("persistentvolumeclaims", "late-data")).toEqual([]);
      expect(await ownersOf("secrets", "late-dkim")).toEqual([]);
    });

    test("what an earlier server of the name takes with it is not used by the next one, which waits", async () => {
      const spec = { domain: "_whole.test", storage: { reclaimPolicy: "Delete" } };
      const before = (await cluster.get("persistentvolumeclaims", "whole-data")).metadata.uid;
      await cluster.makeServer("whole", spec);
      await cluster.conditionIs("whole", "StorageReady", "VolumePending");
      expect((await cluster.condition("whole", "StorageReady"))?.message).toContain("of an earlier server");
      expect((await cluster.get("persistentvolumeclaims", "whole-data")).metadata.uid).toBe(before);
      // the garbage collector
      for (const name of ["whole-tls", "whole-dkim", "whole-turn"]) await cluster.remove("secrets", name);
      await cluster.change("persistentvolumeclaims", "whole-data", { metadata: { finalizers: null } });
      await cluster.remove("persistentvolumeclaims", "whole-data");
      await collect("whole");
      await cluster.setUp("whole");
      await annotate("whole", "force-delete", "yes");
      await cluster.remove(plural, "whole");
      await isGone("whole");
    });

    test("RetainIdentity: the pod ends, a Job deletes the mail, claim and keys stay", async () => {
      await setUp("identity", "RetainIdentity");
      const job = await jobOf("identity");
      await cluster.remove(plural, "identity");
      await until("no pod to follow", async () => (await replicas("identity")) === 0, patience);
      await until("the Job", () => cluster.exists("jobs", job), patience);
      await cluster.conditionIs("identity", "Ready", "Deleting");
      await cluster.conditionIs("identity", "Reconciling", "Deleting");
      await says("identity", "deleting all mail; accounts and keys are kept");
      const { metadata, spec } = await cluster.get<LiveJob>("jobs", job);
      expect(metadata.ownerReferences).toBeUndefined();
      const { containers } = spec.template.spec;
      expect(containers.map(({ command }) => command.slice(2))).toEqual([
        ["--all", "mail"],
        ["--all", "queue"],
      ]);
      await cluster.endJob(job, "Complete");
      await isGone("identity");
      await note("identity", "accounts and keys are kept, all mail is deleted");
      expect(await ownersOf("persistentvolumeclaims", "identity-data")).toEqual([]);
      expect(await cluster.exists("secrets", "identity-dkim")).toBe(true);
    });

    test("a Job that fails keeps nobody: the event says what is left", async () => {
      await setUp("failing", "RetainIdentity");
      const job = await jobOf("failing");
      await cluster.remove(plural, "failing");
      await until("the Job", () => cluster.exists("jobs", job), patience);
      await cluster.endJob(job, "Failed");
      await isGone("failing");
      await note("failing", "the Job that deletes it has failed; mail is left in claim failing-data", "Warning");
    });

    test("force-delete waits for nothing, and the mail goes all the same", async () => {
      await running("forced", "RetainIdentity");
      const job = await jobOf("forced");
      await cluster.remove(plural, "forced");
      await says("forced", "no mail is accepted any more");
      await annotate("forced", "force-delete", "false");
      await annotate("forced", "force-delete", "yes");
      await isGone("forced");
      expect(await cluster.exists("jobs", job)).toBe(true);
      // a new one of the name begins when nobody deletes mail under it
      await endPod("forced");
      await collect("forced");
      await cluster.makeServer("forced", { domain: "_forced.test", storage: { reclaimPolicy: "RetainIdentity" } });
      const waits = async () => (await cluster.condition("forced", "PodReady"))?.message ?? "";
      await until("it to wait", async () => (await waits()).includes(`Job ${job} is deleting the mail`), patience);
      expect(await cluster.exists("statefulsets", "forced")).toBe(false);
      await cluster.endJob(job, "Complete");
      await cluster.setUp("forced");
    });

    test.each([
      { what: "paused", name: "paused", spec: { management: "Paused" } },
      { what: "refused", name: "refused", spec: { image: { reference: "elsewhere.example/relay:1" } } },
    ])("a $what server goes as its policy says", async ({ name, spec }) => {
      await setUp(name, "Delete");
      const { uid } = (await server(name)).metadata;
      await cluster.patch(name, spec);
      await cluster.remove(plural, name);
      await isGone(name);
      expect(await ownersOf("persistentvolumeclaims", `${name}-data`)).toEqual([uid]);
    });

    test("of an unmanaged one, and of one whose objects are to stay, nothing is touched", async () => {
      for (const name of ["unmanaged", "orphans"]) await setUp(name, "Delete");
      await cluster.patch("unmanaged", { management: "Unmanaged" });
      await cluster.conditionIs("unmanaged", "Paused", "Unmanaged");
      await cluster.remove(plural, "unmanaged");
      await isGone("unmanaged");
      expect(await ownersOf("persistentvolumeclaims", "unmanaged-data")).toEqual([]);
      const options = { apiVersion: "v1", kind: "DeleteOptions", propagationPolicy: "Orphan" };
      await cluster.server.request("DELETE", pathOf(plural, "orphans"), options);
      const left = async () => (await server("orphans")).metadata.finalizers?.join();
      await until("ours to be gone", async () => (await left()) === "orphan", patience);
      expect(await ownersOf("persistentvolumeclaims", "orphans-data")).toEqual([]);
      expect(await replicas("orphans")).toBe(1);
      await cluster.change(plural, "orphans", { metadata: { finalizers: null } });
    });
  });

  describe("mail in the queue", () => {
    /** Of this file alone: others play pods, too. */
    const reportsAt = "127.0.0.15";
    let reports: Server;
    /** Of the plan before: a pod that goes by another than it is to have is asked again soon. */
    const before = { plan: { given: "before", used: "before" } };
    let report: object = before;
    const pod = async (name: string) => {
      await cluster.runs(name);
      await cluster.setStatus("pods", `${name}-0`, { podIP: reportsAt, podIPs: [{ ip: reportsAt }] });
    };

    beforeAll(async () => {
      reports = createServer((_, response) => response.end(JSON.stringify({ acceptingAccounts: {}, ...report })));
      await new Promise<void>((resolve, reject) => {
        reports.once("error", reject);
        reports.listen(ports.health, reportsAt, () => resolve());
      });
    });
    afterAll(() => new Promise((resolve) => (reports ? reports.close(resolve) : resolve(undefined))));

    test("is sent before the pod ends: it is told to close, and says how much is left", async () => {
      await setUp("queue", "RetainIdentity");
      await pod("queue");
      await cluster.remove(plural, "queue");
      await until("the plan to say so", async () => (await planOf("queue")).includes('"closing": true'), patience);
      expect(await planOf("queue")).toContain('"registration": "Closed"');
      expect(await replicas("queue")).toBe(1);
      report = {
        plan: { given: planHash(await planOf("queue")), used: planHash(await planOf("queue")) },
        closing: { left: 2 },
      };
      await says("queue", "2 messages left in the queue");
      report = { ...report, closing: { left: 0 } };
      await until("no pod to follow", async () => (await replicas("queue")) === 0, patience);
      await says("queue", "waiting for the end of the relay pod");
      const job = await jobOf("queue");
      expect(await cluster.exists("jobs", job)).toBe(false);
      await endPod("queue");
      await until("the Job", () => cluster.exists("jobs", job), patience);
      await cluster.endJob(job, "Complete");
      await isGone("queue");
    });

    test("is not waited for where the image knows nothing of it", async () => {
      report = before;
      await setUp("older", "Delete");
      await pod("older");
      await cluster.remove(plural, "older");
      await until("the plan to say so", async () => (await planOf("older")).includes('"closing": true'), patience);
      report = { plan: { given: planHash(await planOf("older")), used: planHash(await planOf("older")) } };
      await isGone("older");
    });
  });

  describe("nothing is stuck", () => {
    test("in a namespace that ends", async () => {
      const ending = "ending";
      await cluster.server.makeNamespace(ending);
      await cluster.makeServer(
        "there",
        { domain: "_there.test", storage: { reclaimPolicy: "RetainIdentity" } },
        ending,
      );
      const at = async () => (await cluster.server.request("GET", pathOf("statefulsets", "there", ending))).status;
      await until("the StatefulSet", async () => (await at()) === 200, patience);
      // there is no namespace controller: it ends for ever, and creates are refused
      await cluster.server.request("DELETE", `/api/v1/namespaces/${ending}`);
      await cluster.remove(plural, "there", ending);
      const isThere = async () => (await cluster.server.request("GET", pathOf(plural, "there", ending))).status === 200;
      await until("it to be gone", async () => !(await isThere()), patience);
    });

    test("where the namespace takes the pods first: the server is let go before it is deleted", async () => {
      const ending = "pods-first";
      await cluster.server.makeNamespace(ending);
      await cluster.makeServer("there", { domain: "_pods.test", storage: { reclaimPolicy: "Delete" } }, ending);
      const finalizers = async () =>
        (await cluster.get<KubeObject>(plural, "there", ending)).metadata.finalizers?.length ?? 0;
      await until("the finalizer", async () => (await finalizers()) === 1, patience);
      const service = async () => (await cluster.server.request("GET", pathOf("services", "there", ending))).status;
      await until("the Service", async () => (await service()) === 200, patience);
      await cluster.server.request("DELETE", `/api/v1/namespaces/${ending}`);
      // any change around the pod is a look at the namespace
      await cluster.change("services", "there", { metadata: { labels: { changed: "yes" } } }, ending);
      await until("no finalizer", async () => (await finalizers()) === 0, patience);
    });

    test("when the operator goes with its own namespace", async () => {
      const ending = "own";
      await cluster.server.makeNamespace(ending);
      await cluster.makeServer("mine", { domain: "_mine.test", storage: { reclaimPolicy: "Delete" } }, ending);
      const finalizers = async () =>
        (await cluster.get<KubeObject>(plural, "mine", ending)).metadata.finalizers?.length ?? 0;
      await until("the finalizer", async () => (await finalizers()) === 1, patience);
      const { signal } = new AbortController();
      expect(await releaseWithNamespace(ending, operator.world, signal)).toBe(0);
      await operator.stop();
      await cluster.server.request("DELETE", `/api/v1/namespaces/${ending}`);
      expect(await releaseWithNamespace(ending, operator.world, signal)).toBe(1);
      expect(await finalizers()).toBe(0);
      operator = cluster.startOperator();
    });

    test("when the kind itself is deleted, nor when objects vanish meanwhile", async () => {
      await setUp("vanishing", "RetainIdentity");
      const job = await jobOf("vanishing");
      await collect("vanishing");
      await cluster.remove(plural, "vanishing");
      await until("the Job", () => cluster.exists("jobs", job), patience);
      await cluster.change("persistentvolumeclaims", "vanishing-data", { metadata: { finalizers: null } });
      await cluster.remove("persistentvolumeclaims", "vanishing-data");
      await annotate("vanishing", "log-level", "debug");
      await isGone("vanishing");
    });

    test("after `operator release`, before the operator is removed: a deletion does what the policy says", async () => {
      await setUp("released", "Delete");
      await setUp("kept", "RetainIdentity");
      const { uid } = (await server("released")).metadata;
      await operator.stop();
      const { world, client, log, stopping, close } = cluster.makeWorld();
      const lease = { namespace, name: "chatmail-operator" };
      await releaseServers({ world, client, lease, identity: "uninstall", log, signal: stopping.signal, settleMs: 1 });
      await close();
      for (const name of ["released", "kept"]) expect((await server(name)).metadata.finalizers).toBeUndefined();
      expect(await ownersOf("persistentvolumeclaims", "released-data")).toEqual([uid]);
      expect(await ownersOf("persistentvolumeclaims", "kept-data")).toEqual([]);
      const owner = await cluster.get<{ spec: { holderIdentity: string } }>("leases", "chatmail-operator-owner");
      expect(owner.spec.holderIdentity ?? "").toBe("");
      operator = cluster.startOperator();
      await until("the finalizer to be back", async () => (await server("released")).metadata.finalizers, patience);
      const owners = async () => (await ownersOf("persistentvolumeclaims", "released-data")).length;
      await until("the claim to be nobody's", async () => (await owners()) === 0, patience);
    });

    test("where the operator may not ask for the namespace", async () => {
      const { world, close } = cluster.makeWorld({
        worldOf: (made) => ({
          ...made,
          client: {
            ...made.client,
            get: (resource, at, signal) =>
              resource.plural === "namespaces"
                ? Promise.reject(new ApiError({ status: 403, reason: "Forbidden", message: "no" }))
                : made.client.get(resource, at, signal),
          },
        }),
      });
      await until("the servers", () => world.stores.servers.get(namespace, "released"), patience);
      const live = world.stores.servers.get(namespace, "released");
      const resolved = live && world.resolve(live);
      if (!live || !resolved || !("spec" in resolved)) throw new Error("no server");
      const seen = { identity: {}, certificate: { source: "None", secretName: "x" }, jobs: [] } as const;
      const signal = AbortSignal.timeout(patienceMs.client);
      expect(await keepFinalizer({ ...live, spec: resolved.spec }, { ...seen, jobs: [] }, world, signal)).toMatchObject(
        { sent: false },
      );
      await close();
    });
  });
});
