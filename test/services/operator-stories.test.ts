/**
 * The life of a server as the operator sees it, against a real API server: created, edited,
 * damaged, refused, paused, left alone, deleted, and an operator that is cut off or killed at its
 * work.
 */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { chatmailServer, group } from "../../src/api/names.ts";
import { makeSelfSigned } from "../../src/certificates/self-signed.ts";
import { makeRsaKey, publicDkimKey } from "../../src/dns/dkim-key.ts";
import { leadWithLease } from "../../src/kube/lease.ts";
import { childLog } from "../../src/kube/log.ts";
import type { KubeObject } from "../../src/kube/object.ts";
import { Store } from "../../src/kube/store.ts";
import { runServerController } from "../../src/operator/server/controller.ts";
import type { LiveSecret as WatchedSecret } from "../../src/operator/server/live.ts";
import { reconcileServer } from "../../src/operator/server/reconcile.ts";
import type { World } from "../../src/operator/server/world.ts";
import { apiServerIsMissing } from "../helpers/api-server.ts";
import { faultProxy } from "../helpers/fault-proxy.ts";
import {
  base64,
  childKinds,
  type LiveSecret,
  namespace,
  OperatorCluster,
  pathOf,
  type RunningOperator,
} from "../helpers/operator-cluster.ts";
import { patienceMs, until } from "../helpers/until.ts";

const missing = apiServerIsMissing();
if (missing) console.warn(`skipped: ${missing}`);

const patience = { patienceMs: patienceMs.client };
const textIn = (secret: LiveSecret, key: string) => Buffer.from(secret.data?.[key] ?? "", "base64").toString();
const ours = (name: string, domain: string) => ({
  labels: { "chatmail.dev/server": name },
  annotations: {
    "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
    "helm.sh/resource-policy": "keep",
    "chatmail.dev/domain": domain,
  },
});

describe.skipIf(missing !== undefined)("the operator on a real API server", () => {
  let cluster: OperatorCluster;
  let operator: RunningOperator;

  const secret = (name: string) => cluster.get<LiveSecret>("secrets", name);
  const ready = async (name: string, spec: object) => {
    await cluster.makeServer(name, spec);
    await cluster.setUp(name);
    await cluster.runs(name);
  };
  /** All its children and Secrets are there; `more` are the endings of the Secrets. */
  const isWhole = async (name: string, secrets: readonly string[] = ["-tls", "-dkim"]) => {
    const versions = await cluster.versions(name);
    return [...childKinds, ...secrets.map((ending) => ["secrets", ending])].every(
      ([kind, ending]) => versions[`${kind}/${name}${ending}`] !== undefined,
    );
  };
  const hashOf = async (name: string) =>
    (
      await cluster.get<KubeObject & { spec: { template: { metadata: { annotations: Record<string, string> } } } }>(
        "statefulsets",
        name,
      )
    ).spec.template.metadata.annotations["chatmail.dev/secrets-hash"];

  beforeAll(async () => {
    cluster = await OperatorCluster.open();
    operator = cluster.startOperator();
  });
  afterAll(async () => {
    await operator?.stop();
    await cluster?.close();
  });

  describe("created", () => {
    test("a server gets its objects and keys, and is Ready when its pod runs", async () => {
      await cluster.makeServer("created", { domain: "_created.test", services: { turn: { enabled: true } } });
      await cluster.setUp("created");
      expect(await isWhole("created", ["-tls", "-dkim", "-turn"])).toBe(true);
      await cluster.conditionIs("created", "PodReady", "PodMissing");
      await cluster.conditionIs("created", "Reconciling", "VolumePending");
      await cluster.runs("created");
      const status = await cluster.statusOf("created");
      expect(status).toMatchObject({
        addresses: [{ type: "IPAddress", value: "203.0.113.77", from: "Service" }],
        certificate: { source: "SelfSigned", sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
        dkim: { keys: [{ selector: "chatmail" }] },
      });
      expect(Object.fromEntries(status.conditions?.map(({ type, status: is }) => [type, is]) ?? [])).toMatchObject({
        Ready: "True",
        Reconciling: "False",
        Stalled: "False",
        CertificateReady: "True",
        StorageReady: "True",
        PodReady: "True",
      });
    });

    test("the record in the status is that of the key in the Secret", async () => {
      const key = publicDkimKey(textIn(await secret("created-dkim"), "rsa.pem"));
      const text = (await cluster.statusOf("created")).dkim?.keys?.[0]?.record?.value?.replaceAll('" "', "");
      expect(text).toContain(`p=${key?.base64};`);
      expect(textIn(await secret("created-turn"), "secret")).toMatch(/^[0-9a-f]{64}$/);
    });

    test("the first invite is a link to hand out; from then on its Secret is the user's", async () => {
      await cluster.makeServer("invited", { domain: "_invited.test", accounts: { registration: "Invite" } });
      await cluster.setUp("invited");
      await cluster.conditionIs("invited", "InvitesReady", "InvitesThere");
      expect(textIn(await secret("invited-invites"), "link")).toMatch(/^https:\/\/_invited\.test\/i\/[a-z2-9]{20}$/);
      await cluster.change("secrets", "invited-invites", { data: { link: null } });
      await cluster.conditionIs("invited", "InvitesReady", "InvitesMissing");
      expect((await secret("invited-invites")).data).toBeUndefined();
    });

    test("a private address is in no record, and the status says what to do", async () => {
      await cluster.makeServer("private", { domain: "_private.test" });
      await cluster.setUp("private");
      await cluster.setStatus("services", "private", { loadBalancer: { ingress: [{ ip: "192.168.178.20" }] } });
      await cluster.conditionIs("private", "AddressesReady", "PrivateAddress");
      const records = async () => (await cluster.statusOf("private")).dns?.records?.map(({ type }) => type);
      expect(await records()).not.toContain("A");
      const said = (await cluster.statusOf("private")).conditions?.find(({ type }) => type === "AddressesReady");
      expect(said?.message).toMatch(
        /192\.168\.178\.20 is a private address.*set network\.addresses to the public ones/,
      );
      await cluster.patch("private", { network: { addresses: ["203.0.113.31"] } });
      await cluster.conditionIs("private", "AddressesReady", "AddressesKnown");
      expect(await records()).toContain("A");
    });

    test("a load balancer with a host name: no CNAME record beside the MX record, and what to do instead", async () => {
      await cluster.makeServer("named", { domain: "_named.test" });
      await cluster.setUp("named");
      await cluster.setStatus("services", "named", { loadBalancer: { ingress: [{ hostname: "lb.example.net" }] } });
      await until("the name to be known", async () =>
        (await cluster.statusOf("named")).conditions?.some(({ message }) =>
          /lb\.example\.net is a host name: .*ALIAS/.test(message ?? ""),
        ),
      );
      const apex = (await cluster.statusOf("named")).dns?.records?.filter(({ name }) => name === "_named.test.");
      expect(apex?.map(({ type }) => type)).not.toContain("CNAME");
    });

    test("an address literal has no signing key", async () => {
      await cluster.makeServer("literal", { domain: "203.0.113.30" });
      await cluster.setUp("literal");
      expect(await cluster.exists("secrets", "literal-dkim")).toBe(false);
      expect((await cluster.statusOf("literal")).dns).toBeUndefined();
    });
  });

  describe("edited", () => {
    /** The objects that have changed since. */
    const changedSince = async (before: Record<string, string | undefined>) => {
      const after = await cluster.versions("edited");
      return Object.keys(after)
        .filter((each) => after[each] !== before[each])
        .sort();
    };
    const synced = async () =>
      (await cluster.get<KubeObject>("pods", "edited-0")).metadata.annotations?.["chatmail.dev/synced"];
    const planIn = async () =>
      (await cluster.get<{ data?: Record<string, string> }>("configmaps", "edited-plan")).data?.["plan.json"] ?? "";

    test("a rule: the plan changes and the pod that runs is told to look; no pod is replaced", async () => {
      await ready("edited", { domain: "_edited.test" });
      const before = await cluster.versions("edited");
      expect(await synced()).toBeUndefined();
      await cluster.patch("edited", { accounts: { sendBurst: 21 } });
      await until("the pod to be told", async () => (await synced()) !== undefined, patience);
      expect(await planIn()).toContain('"sendBurst": 21');
      const settled = async () => (await cluster.condition("edited", "Ready"))?.observedGeneration === 2;
      await until("the edit to be judged", settled, patience);
      expect(await changedSince(before)).toEqual(["chatmailservers/edited", "configmaps/edited-plan"]);
      expect((await cluster.condition("edited", "Ready"))?.status).toBe("True");
    });

    test("a rule again: the pod is told once more, and only for what it mounts", async () => {
      const before = await synced();
      await cluster.patch("edited", { network: { service: { annotations: { a: "b" } } } });
      const isThere = async () => (await cluster.get<KubeObject>("services", "edited")).metadata.annotations?.a === "b";
      await until("the annotation of the Service", isThere, patience);
      await cluster.patch("edited", { accounts: { sendBurst: 22 } });
      await until("the pod to be told", async () => (await synced()) !== before, patience);
      const [plan] = ((await synced()) ?? "").split(" ");
      expect(plan).toBe((await cluster.get<KubeObject>("configmaps", "edited-plan")).metadata.resourceVersion);
    });

    test("what only the template holds: Progressing until there is another pod", async () => {
      const before = await cluster.versions("edited");
      await cluster.patch("edited", { resources: { web: { requests: { memory: "24Mi" } } } });
      await cluster.conditionIs("edited", "Reconciling", "Progressing");
      expect(await changedSince(before)).toEqual(["chatmailservers/edited", "statefulsets/edited"]);
      await cluster.runs("edited");
    });
  });

  describe("damaged", () => {
    beforeAll(() => ready("drift", { domain: "_drift.test", services: { turn: { enabled: true } } }));

    test.each(childKinds)("%s NAME%s comes back when it is deleted", async (kind, ending) => {
      const name = `drift${ending}`;
      const { uid } = (await cluster.get(kind, name)).metadata;
      if (kind === "persistentvolumeclaims") await cluster.change(kind, name, { metadata: { finalizers: null } });
      await cluster.remove(kind, name);
      const isBack = async () => {
        const found = await cluster.get(kind, name);
        return found.metadata?.uid && found.metadata.uid !== uid;
      };
      await until(`another ${kind} ${name}`, isBack, patience);
    });

    test("a field of ours is put back, one that we leave out stays as a person set it", async () => {
      interface Service extends KubeObject {
        spec: { ports: { name: string; targetPort: string }[]; sessionAffinity: string };
      }
      const { spec } = await cluster.get<Service>("services", "drift");
      const ports = spec.ports.map((each) => (each.name === "smtp" ? { ...each, targetPort: "https" } : each));
      await cluster.change("services", "drift", { spec: { ports, sessionAffinity: "ClientIP" } });
      const isBack = async () => {
        const found = (await cluster.get<Service>("services", "drift")).spec;
        return found.ports.some(({ name, targetPort }) => name === "smtp" && targetPort === "smtp") && found;
      };
      expect((await until("the port as it was", isBack, patience)).sessionAffinity).toBe("ClientIP");
    });

    test("another port number is put back, which a server-side apply alone can't", async () => {
      interface Ported extends KubeObject {
        spec: {
          ports: { name: string; port: number; nodePort?: number }[];
          template: { spec: { containers: { name: string; ports?: { containerPort: number }[] }[] } };
        };
      }
      const portsOf = async () => (await cluster.get<Ported>("services", "drift")).spec.ports;
      const before = await portsOf();
      const ports = before.map((each) => (each.name === "smtp" ? { ...each, port: 26 } : each));
      await cluster.change("services", "drift", { spec: { ports } });
      const numbers = (of: readonly { port: number }[]) => of.map(({ port }) => port).sort((a, b) => a - b);
      await until("port 25", async () => String(numbers(await portsOf())) === String(numbers(before)), patience);

      const containersOf = async () =>
        (await cluster.get<Ported>("statefulsets", "drift")).spec.template.spec.containers;
      const containers = await containersOf();
      const moved = containers.map((each) => ({
        ...each,
        ...(each.ports && { ports: each.ports.map((port) => ({ ...port, containerPort: port.containerPort + 1 })) }),
      }));
      await cluster.change("statefulsets", "drift", { spec: { template: { spec: { containers: moved } } } });
      const isBack = async () => JSON.stringify(await containersOf()) === JSON.stringify(containers);
      await until("the ports of the containers", isBack, patience);
      await until("Ready to go on", async () => (await cluster.condition("drift", "Ready"))?.reason !== "ApplyFailed");
    });

    test("a key that is there stays, with what a person added beside it", async () => {
      const { data = {} } = await secret("drift-dkim");
      await cluster.change("secrets", "drift-dkim", { data: { "note.txt": base64("mine") } });
      await cluster.patch("drift", { accounts: { sendBurst: 22 } });
      await until(
        "the edit",
        async () => (await cluster.condition("drift", "Ready"))?.observedGeneration === 2,
        patience,
      );
      expect((await secret("drift-dkim")).data).toEqual({ ...data, "note.txt": base64("mine") });
    });

    test("annotations of a Secret are put back, and nobody owns it; its data is left alone", async () => {
      const before = await secret("drift-tls");
      expect(before.metadata.ownerReferences).toBeUndefined();
      await cluster.change("secrets", "drift-tls", {
        metadata: { annotations: { "chatmail.dev/domain": null, "helm.sh/resource-policy": "x" } },
      });
      const isBack = async () => {
        const { metadata } = await secret("drift-tls");
        return (
          metadata.annotations?.["chatmail.dev/domain"] === "_drift.test" &&
          metadata.annotations?.["helm.sh/resource-policy"] === "keep"
        );
      };
      await until("the annotations", isBack, patience);
      const { apiVersion, kind, metadata } = await cluster.get(chatmailServer.plural, "drift");
      const owner = { apiVersion, kind, name: "drift", uid: metadata.uid, controller: true };
      const names = ["drift-tls", "drift-dkim", "drift-turn"];
      for (const name of names) await cluster.change("secrets", name, { metadata: { ownerReferences: [owner] } });
      for (const name of names)
        await until(`${name} to have no owner`, async () => !(await secret(name)).metadata.ownerReferences, patience);
      expect((await secret("drift-tls")).data).toEqual(before.data);
    });

    test("a Secret without its signing key is not given another one, and the pod goes on", async () => {
      const { data = {} } = await secret("drift-dkim");
      const hash = await hashOf("drift");
      await cluster.change("secrets", "drift-dkim", { data: { "rsa.pem": base64("no key") } });
      const { message } = await cluster.conditionIs("drift", "Ready", "DkimKeyInvalid");
      expect(message).toMatch(/^Secret drift-dkim has no private key in rsa\.pem: restore it/);
      expect(textIn(await secret("drift-dkim"), "rsa.pem")).toBe("no key");
      expect(await hashOf("drift")).toBe(hash);
      await cluster.change("secrets", "drift-dkim", { data });
      await until(
        "another reason",
        async () => (await cluster.condition("drift", "Ready"))?.reason !== "DkimKeyInvalid",
      );
      expect(await hashOf("drift")).toBe(hash);
    });

    test("a TURN secret that is empty would let everybody in: it is filled again", async () => {
      await cluster.change("secrets", "drift-turn", { data: { secret: null, note: base64("mine") } });
      const isFilled = async () => /^[0-9a-f]{64}$/.test(textIn(await secret("drift-turn"), "secret"));
      await until("a secret", isFilled, patience);
      expect(textIn(await secret("drift-turn"), "note")).toBe("mine");
    });

    const longAgo = new Date("1920-01-01T00:00:00Z");
    const now = new Date();
    test.each([
      { when: "it has ended", name: "ended", pair: (domain: string) => makeSelfSigned(domain, longAgo) },
      { when: "it is another domain's", name: "others", pair: () => makeSelfSigned("_ten.test", now) },
      {
        when: "its key is missing",
        name: "keyless",
        pair: async (domain: string) => ({ ...(await makeSelfSigned(domain, now)), keyPem: "" }),
      },
    ])("a self-signed certificate is replaced when $when", async ({ name, pair }) => {
      const domain = `_${name}.test`;
      const { certificatePem, keyPem } = await pair(domain);
      const data = { "tls.crt": base64(certificatePem), "tls.key": base64(keyPem), note: base64("mine") };
      await cluster.makeSecret(`${name}-tls`, "kubernetes.io/tls", data, ours(name, domain));
      const { uid } = (await secret(`${name}-tls`)).metadata;
      await cluster.makeServer(name, { domain });
      await cluster.setUp(name);
      await cluster.conditionIs(name, "CertificateReady", "CertificateIssued");
      const found = await secret(`${name}-tls`);
      expect(found.metadata.uid).toBe(uid);
      expect(found.data).toMatchObject({ note: base64("mine") });
      expect(found.data?.["tls.crt"]).not.toBe(data["tls.crt"]);
    });

    test("Secrets that an earlier version applied keep their keys, and are written only where their domain is missing", async () => {
      const name = "earlier";
      const domain = "_earlier.test";
      const { certificatePem, keyPem } = await makeSelfSigned(domain, now);
      const rsa = await makeRsaKey();
      const apply = (ending: string, type: string, data: Record<string, string>) => {
        const metadata = { name: `${name}${ending}`, namespace, ...ours(name, domain) };
        const path = `${pathOf("secrets", metadata.name)}?fieldManager=chatmail-operator&force=true`;
        const object = { apiVersion: "v1", kind: "Secret", metadata, type, data };
        return cluster.server.request("PATCH", path, object, "application/apply-patch+yaml");
      };
      const pair = { "tls.crt": base64(certificatePem), "tls.key": base64(keyPem) };
      await apply("-tls", "kubernetes.io/tls", pair);
      await apply("-dkim", "Opaque", { "rsa.pem": base64(rsa) });
      await apply("-turn", "Opaque", { secret: base64("shared") });
      const names = ["earlier-tls", "earlier-dkim", "earlier-turn"];
      const before = await Promise.all(names.map(secret));
      await ready(name, { domain, services: { turn: { enabled: true } } });
      expect(await Promise.all(names.map(secret))).toEqual(before);
      for (const each of names)
        await cluster.change("secrets", each, { metadata: { annotations: { "chatmail.dev/domain": null } } });
      for (const each of names)
        await until(
          `the domain of ${each}`,
          async () => (await secret(each)).metadata.annotations?.["chatmail.dev/domain"],
          patience,
        );
      const after = await Promise.all(names.map(secret));
      expect(after.map(({ data }) => data)).toEqual(before.map(({ data }) => data));
    });

    test("keys that are there are found by an operator whose watch does not bring them", async () => {
      const behind = cluster.makeWorld({
        worldOf: (made) => ({ ...made, stores: { ...made.stores, secrets: new Store<WatchedSecret>() } }),
      });
      const { world, log, stopping } = behind;
      await until("the watches", () => world.cache.filled, patience);
      const names = ["drift-tls", "drift-dkim", "drift-turn"];
      const before = await Promise.all(names.map(secret));
      await reconcileServer(`${namespace}/drift`, world, childLog(log, {}), stopping.signal);
      expect(await Promise.all(names.map(secret))).toEqual(before);
      await behind.close();
    });
  });

  describe("refused", () => {
    test("a Service that is refused keeps nothing else from the server; then it is made by itself", async () => {
      const allow = await cluster.refuse("services", ["refused"]);
      await cluster.makeServer("refused", { domain: "_refused.test", services: { turn: { enabled: true } } });
      const { message } = await cluster.conditionIs("refused", "Ready", "ApplyFailed");
      expect(message).toMatch(/^Service refused: .*not here/);
      await cluster.setUp("refused");
      await cluster.conditionIs("refused", "AddressesReady", "ApplyFailed");
      await cluster.conditionIs("refused", "Reconciling", "ApplyFailed");
      await cluster.conditionIs("refused", "CertificateReady", "CertificateIssued");
      expect(await cluster.exists("services", "refused")).toBe(false);
      await allow();
      await until("the Service", () => cluster.exists("services", "refused"), patience);
      await cluster.conditionIs("refused", "AddressesReady", "AddressPending");
    });

    test.each([
      { kind: "CronJob", path: "cronjobs", ending: "-expiry", concern: "ExpiryHealthy" },
      { kind: "ConfigMap", path: "configmaps", ending: "-dns", concern: "DNSReady" },
      { kind: "NetworkPolicy", path: "networkpolicies", ending: "", concern: "UpToDate" },
      { kind: "StatefulSet", path: "statefulsets", ending: "", concern: "PodReady" },
      { kind: "Secret", path: "secrets", ending: "-invites", concern: "InvitesReady" },
    ])("a $kind that is refused is told in $concern, and everything else is made", async (refused) => {
      const { kind, path, ending, concern } = refused;
      const name = `no-${path}`;
      const allow = await cluster.refuse(path, [`${name}${ending}`]);
      await cluster.makeServer(name, { domain: `_${name}.test`, accounts: { registration: "Invite" } });
      const { message } = await cluster.conditionIs(name, concern, "ApplyFailed");
      expect(message).toMatch(new RegExp(`^${kind} ${name}${ending}: .*not here`));
      const all = [...childKinds, ["secrets", "-tls"], ["secrets", "-dkim"], ["secrets", "-invites"]] as const;
      for (const [each, end] of all)
        expect([each, end, await cluster.exists(each, `${name}${end}`)]).toEqual([
          each,
          end,
          each !== path || end !== ending,
        ]);
      await allow();
      await until("it to be made", () => cluster.exists(path, `${name}${ending}`), patience);
    });

    test.each([
      { kind: "ConfigMap", path: "configmaps", ending: "-plan", concern: "UpToDate" },
      { kind: "PersistentVolumeClaim", path: "persistentvolumeclaims", ending: "-data", concern: "StorageReady" },
      { kind: "Secret", path: "secrets", ending: "-tls", concern: "CertificateReady" },
      { kind: "Secret", path: "secrets", ending: "-turn", concern: "PodReady" },
    ])("the pod waits for its $kind NAME$ending, which is refused, and for that alone", async (refused) => {
      const { kind, path, ending, concern } = refused;
      const name = `waits-${path}${ending}`;
      const allow = await cluster.refuse(path, [`${name}${ending}`]);
      await cluster.makeServer(name, { domain: "_waits.test", services: { turn: { enabled: true } } });
      const { message } = await cluster.conditionIs(name, concern, "ApplyFailed");
      expect(message).toMatch(new RegExp(`^${kind} ${name}${ending}: .*not here`));
      for (const [each, end] of [
        ["services", ""],
        ["networkpolicies", ""],
        ["secrets", "-dkim"],
      ] as const)
        expect([each, await cluster.exists(each, `${name}${end}`)]).toEqual([each, true]);
      expect(await cluster.exists("statefulsets", name)).toBe(false);
      expect(await cluster.exists("cronjobs", `${name}-expiry`)).toBe(false);
      await allow();
      await cluster.setUp(name);
      await cluster.removeServer(name, operator.world);
    });

    test("where Secrets are refused, the status speaks of no key; an RSA key is made once, however often it is tried", async () => {
      const allow = await cluster.refuse("secrets", ["sealed-tls", "sealed-dkim"]);
      const tried: string[] = [];
      const { world, log, stopping, close } = cluster.makeWorld({
        worldOf: (made) => {
          const create: World["client"]["create"] = (resource, object, signal) => {
            tried.push((object as LiveSecret).data?.["rsa.pem"] ?? "");
            return made.client.create(resource, object, signal);
          };
          return { ...made, client: { ...made.client, create } };
        },
      });
      await until("the watches", () => world.cache.filled, patience);
      await cluster.makeServer("sealed", { domain: "_sealed.test" });
      const { message } = await cluster.conditionIs("sealed", "Ready", "ApplyFailed");
      expect(message).toMatch(/^Secret sealed-tls: .*not here.*; see also PodReady$/);
      expect(await cluster.condition("sealed", "CertificateReady")).toMatchObject({ reason: "ApplyFailed" });
      expect((await cluster.condition("sealed", "PodReady"))?.message).toMatch(/^Secret sealed-dkim: .*not here/);
      const status = await cluster.statusOf("sealed");
      expect(status).not.toHaveProperty("certificate");
      expect(status).not.toHaveProperty("dkim");
      expect(await cluster.exists("statefulsets", "sealed")).toBe(false);
      await until("the server", () => world.stores.servers.get(namespace, "sealed"), patience);
      for (let nth = 0; nth < 3; nth++)
        await reconcileServer(`${namespace}/sealed`, world, childLog(log, {}), stopping.signal);
      const keys = tried.filter((each) => each !== "");
      expect(keys).toHaveLength(3);
      expect(new Set(keys).size).toBe(1);
      await allow();
      await reconcileServer(`${namespace}/sealed`, world, childLog(log, {}), stopping.signal);
      await close();
      await cluster.setUp("sealed");
    });

    test.each([
      { kind: "Service", path: "services", name: "foreign", body: { spec: { ports: [{ port: 1 }] } } },
      { kind: "Secret", path: "secrets", name: "foreign-dkim", body: { data: { "rsa.pem": base64("theirs") } } },
      { kind: "Secret", path: "secrets", name: "foreign-tls", body: { data: { "tls.crt": base64("theirs") } } },
    ])("$kind $name of somebody else is left as it is, and named", async ({ kind, path, name, body }) => {
      await cluster.make(path, { metadata: { name, namespace }, ...body });
      await cluster.makeServer("foreign", { domain: "_foreign.test" });
      const { message } = await cluster.conditionIs("foreign", "Stalled", "ApplyConflict");
      await until(
        "all else",
        async () => (await cluster.exists("secrets", "foreign-tls")) && cluster.exists("secrets", "foreign-dkim"),
        patience,
      );
      if (kind === "Service") await cluster.setUp("foreign");
      expect(message).toContain(`${kind} ${name} exists but does not belong to this server: rename or delete it`);
      expect((await cluster.get(path, name)).metadata.labels).toBeUndefined();
      const made = Object.keys(await cluster.versions("foreign"));
      // the pod waits for its keys; nothing else has to do with the name
      const waits = [
        ...(kind === "Secret" ? ["statefulsets/foreign", "cronjobs/foreign-expiry"] : []),
        ...(name === "foreign-dkim" ? ["configmaps/foreign-dns"] : []),
      ];
      const all = [...childKinds, ["secrets", "-tls"], ["secrets", "-dkim"]].map(
        ([each, end]) => `${each}/foreign${end}`,
      );
      const expected = ["chatmailservers/foreign", ...all].filter((each) => !waits.includes(each));
      expect(made.sort()).toEqual(expected.sort());
      await cluster.removeServer("foreign", operator.world);
      for (const ending of ["-tls", "-dkim"]) await cluster.remove("secrets", `foreign${ending}`);
      await cluster.change("persistentvolumeclaims", "foreign-data", { metadata: { finalizers: null } });
      await cluster.remove("persistentvolumeclaims", "foreign-data");
      await cluster.remove(path, name);
    });
  });

  describe("Paused", () => {
    test("from birth: keys and invites are made and judged; no volume, no pod, no Service", async () => {
      const spec = {
        domain: "_paused.test",
        services: { turn: { enabled: true } },
        accounts: { registration: "Invite" },
      };
      await cluster.makeServer("paused", { ...spec, management: "Paused" });
      await cluster.conditionIs("paused", "CertificateReady", "CertificateIssued");
      await cluster.conditionIs("paused", "InvitesReady", "InvitesThere");
      for (const type of ["Ready", "PodReady", "StorageReady", "AddressesReady", "Reconciling"])
        await cluster.conditionIs("paused", type, "Paused");
      await until("the records of its key", () => cluster.exists("configmaps", "paused-dns"), patience);
      await cluster.dnsIsKnown("paused");
      const seen = await cluster.statusOf("paused");
      expect(seen).toMatchObject({ certificate: { source: "SelfSigned" }, dkim: { keys: [{ selector: "chatmail" }] } });
      const secrets = ["-tls", "-dkim", "-invites", "-turn"].map((ending) => `secrets/paused${ending}`);
      expect(Object.keys(await cluster.versions("paused")).sort()).toEqual(
        ["chatmailservers/paused", "configmaps/paused-dns", ...secrets].sort(),
      );
      // once more: the same to the letter, so nothing is written
      const before = await cluster.versions("paused");
      const { world, log, stopping, close } = cluster.makeWorld();
      await until("the watches", () => world.cache.filled, patience);
      for (let nth = 0; nth < 2; nth++)
        await reconcileServer(`${namespace}/paused`, world, childLog(log, {}), stopping.signal);
      await close();
      expect(await cluster.versions("paused")).toEqual(before);
      expect(await cluster.statusOf("paused")).toEqual(seen);
      await cluster.patch("paused", { management: "Managed" });
      await cluster.setUp("paused");
      for (const each of secrets) expect((await cluster.versions("paused"))[each]).toBe(before[each]);
    });

    test("a certificate that has ended is renewed, and a key that is missing is made", async () => {
      await ready("upkeep", { domain: "_upkeep.test", services: { turn: { enabled: true } } });
      await cluster.patch("upkeep", { management: "Paused" });
      await cluster.conditionIs("upkeep", "Reconciling", "Paused");
      const before = await cluster.versions("upkeep");
      const { certificatePem, keyPem } = await makeSelfSigned("_upkeep.test", new Date("1920-01-01T00:00:00Z"));
      const ended = { "tls.crt": base64(certificatePem), "tls.key": base64(keyPem) };
      await cluster.change("secrets", "upkeep-tls", { data: ended });
      await cluster.remove("secrets", "upkeep-turn");
      const renewed = async () => (await secret("upkeep-tls")).data?.["tls.crt"] !== ended["tls.crt"];
      await until("another certificate", renewed, patience);
      await until("a TURN secret", () => cluster.exists("secrets", "upkeep-turn"), patience);
      const after = await cluster.versions("upkeep");
      for (const [kind, ending] of childKinds) {
        const each = `${kind}/upkeep${ending}`;
        expect([each, after[each]]).toEqual([each, before[each]]);
      }
    });

    test("later: objects stay as they are, also damaged; what runs is judged", async () => {
      await ready("rests", { domain: "_rests.test" });
      await cluster.patch("rests", { management: "Paused" });
      await cluster.conditionIs("rests", "Reconciling", "Paused");
      const before = await cluster.versions("rests");
      await cluster.patch("rests", { accounts: { sendBurst: 21 } });
      const { message } = await cluster.conditionIs("rests", "Stalled", "EditWaiting");
      expect(message).toBe(
        "management is Paused: changes of the spec are not applied, and ConfigMap rests-plan would change",
      );
      await cluster.remove("services", "rests");
      await cluster.conditionIs("rests", "Ready", "Paused");
      const { "services/rests": _, ...others } = before;
      const now = await cluster.versions("rests");
      expect({ ...now, "chatmailservers/rests": "" }).toEqual({ ...others, "chatmailservers/rests": "" });
      expect(await cluster.condition("rests", "CertificateReady")).toMatchObject({ status: "True" });
      await cluster.patch("rests", { management: "Managed" });
      await until("the Service", () => cluster.exists("services", "rests"), patience);
    });
  });

  test("Unmanaged, nothing is repaired, and what is there is judged; Managed again, all is put right", async () => {
    await ready("alone", { domain: "_alone.test" });
    await cluster.patch("alone", { management: "Unmanaged" });
    await cluster.conditionIs("alone", "Paused", "Unmanaged");
    expect(await cluster.condition("alone", "Ready")).toMatchObject({ status: "True" });
    await cluster.remove("services", "alone");
    await cluster.change("configmaps", "alone-plan", { data: { "plan.json": "{}" } });
    // a server that comes later is set up, so the operator has been at work since
    await cluster.makeServer("after-alone", { domain: "_after-alone.test" });
    await cluster.setUp("after-alone");
    expect(await cluster.exists("services", "alone")).toBe(false);
    await cluster.conditionIs("alone", "Ready", "Unmanaged");
    expect(await cluster.condition("alone", "CertificateReady")).toMatchObject({ status: "True" });
    await cluster.patch("alone", { management: "Managed" });
    await until("the Service", () => cluster.exists("services", "alone"), patience);
    const { data = {} } = await cluster.get<{ data?: Record<string, string> }>("configmaps", "alone-plan");
    expect(data["plan.json"]).toContain("_alone.test");
  });

  describe("deleted", () => {
    test("what is kept belongs to nobody, the rest to the server; a new one of the name finds its keys", async () => {
      await cluster.makeServer("gone", { domain: "_gone.test", services: { turn: { enabled: true } } });
      await cluster.setUp("gone");
      const { uid } = (await cluster.get(chatmailServer.plural, "gone")).metadata;
      for (const [kind, ending] of childKinds) {
        const owners = (await cluster.get(kind, `gone${ending}`)).metadata.ownerReferences?.map((each) => each.uid);
        expect([kind, owners]).toEqual([kind, kind === "persistentvolumeclaims" ? undefined : [uid]]);
      }
      const names = ["gone-tls", "gone-dkim", "gone-turn"];
      const before = await Promise.all(names.map(secret));
      expect(before.map(({ metadata }) => metadata.ownerReferences)).toEqual([undefined, undefined, undefined]);
      await cluster.removeServer("gone", operator.world);
      await cluster.makeServer("gone", { domain: "_gone.test", services: { turn: { enabled: true } } });
      await cluster.setUp("gone");
      const after = await Promise.all(names.map(secret));
      expect(after.map(({ data, metadata }) => [metadata.uid, data])).toEqual(
        before.map(({ data, metadata }) => [metadata.uid, data]),
      );
    });

    test("a server that is on its way out gets nothing new", async () => {
      await ready("leaving", { domain: "_leaving.test" });
      await cluster.change(chatmailServer.plural, "leaving", { metadata: { finalizers: [`${group}/test`] } });
      await cluster.remove(chatmailServer.plural, "leaving");
      await until(
        "the operator to know",
        () => operator.world.stores.servers.get(namespace, "leaving")?.metadata.deletionTimestamp,
      );
      await cluster.remove("services", "leaving");
      await cluster.makeServer("after-leaving", { domain: "_after-leaving.test" });
      await cluster.setUp("after-leaving");
      expect(await cluster.exists("services", "leaving")).toBe(false);
      await cluster.change(chatmailServer.plural, "leaving", { metadata: { finalizers: null } });
    });
  });

  describe("two servers with one domain", () => {
    test("the older one has it, the later waits and writes nothing; when the first goes, the second is set up", async () => {
      await cluster.makeServer("first", { domain: "_one.test" });
      await cluster.setUp("first");
      await cluster.makeServer("second", { domain: "_one.test" });
      const { message } = await cluster.conditionIs("second", "Ready", "DomainTaken");
      expect(message).toBe("_one.test is served by ChatmailServer first: delete one of the two");
      await cluster.conditionIs("second", "Stalled", "DomainTaken");
      expect(Object.keys(await cluster.versions("second"))).toEqual(["chatmailservers/second"]);
      await cluster.removeServer("first", operator.world);
      await cluster.setUp("second");
    });

    test("created at the same time, one is set up", async () => {
      const names = ["same-a", "same-b"];
      await Promise.all(names.map((name) => cluster.makeServer(name, { domain: "_same.test" })));
      await until(
        "one that waits",
        async () => {
          const reasons = await Promise.all(
            names.map(async (name) => (await cluster.condition(name, "Ready"))?.reason),
          );
          return reasons.filter((reason) => reason === "DomainTaken").length === 1;
        },
        patience,
      );
      const sets = async () => Promise.all(names.map((name) => cluster.exists("cronjobs", `${name}-expiry`)));
      await until("the other", async () => (await sets()).some(Boolean), patience);
      expect((await sets()).filter(Boolean)).toHaveLength(1);
    });
  });
});

describe.skipIf(missing !== undefined)("an operator that ends", () => {
  let cluster: OperatorCluster;
  beforeAll(async () => {
    cluster = await OperatorCluster.open();
  });
  afterAll(() => cluster?.close());

  const isWrite = (method: string, path: string) => method !== "GET" && !path.includes("/events");

  describe("killed at one of its writes", () => {
    const spec = { services: { turn: { enabled: true } }, accounts: { registration: "Invite" } };
    const secrets = ["-tls", "-dkim", "-invites", "-turn"];
    /** More than there are. */
    const numbers = Array.from({ length: 18 }, (_, nth) => nth + 1);
    const killedAt: number[] = [];

    test.each(numbers)("the %i. one: the next operator completes the server, and no key changes", async (at) => {
      const name = `mid-${at}`;
      const proxy = await faultProxy(cluster.server);
      onTestFinished(() => proxy.close());
      const first = cluster.startOperator({ url: proxy.url });
      onTestFinished(() => first.stop());
      let writes = 0;
      proxy.answer(({ method, path }) => {
        if (!isWrite(method, path) || ++writes !== at) return null;
        // the API server gets the write, the operator no answer
        killedAt.push(at);
        first.kill();
        return null;
      });
      await cluster.makeServer(name, { ...spec, domain: `_${name}.test` });
      await until(
        "the end of the first operator or of its work",
        async () => killedAt.includes(at) || (await cluster.condition(name, "PodReady"))?.reason === "PodMissing",
        patience,
      );
      await first.stop();
      const keysOf = async () => {
        const found = await Promise.all(
          secrets.map((ending) => cluster.get<LiveSecret>("secrets", `${name}${ending}`)),
        );
        return found.map(({ metadata, data }) => metadata?.uid && { uid: metadata.uid, data });
      };
      const before = await keysOf();
      const second = cluster.startOperator();
      onTestFinished(() => second.stop());
      await cluster.conditionIs(name, "PodReady", "PodMissing");
      await cluster.setUp(name);
      const after = await keysOf();
      for (const [nth, key] of before.entries()) if (key) expect(after[nth]).toEqual(key);
      expect(after).not.toContain(undefined);
    });

    test("was each of them: eight objects, four Secrets, the status", () => {
      expect(killedAt.length).toBeGreaterThanOrEqual(12);
      expect(killedAt).toEqual(numbers.slice(0, killedAt.length));
      expect(killedAt.length).toBeLessThan(numbers.length);
    });
  });

  test("started where a watched namespace may not be read: the others are looked after, and its servers say so", async () => {
    const gone = "no-longer-ours";
    await cluster.server.makeNamespace(gone);
    const proxy = await faultProxy(cluster.server);
    proxy.answer(({ path }) =>
      path.includes(`/namespaces/${gone}/secrets`) ? { status: 403, reason: "Forbidden" } : null,
    );
    const started = cluster.startOperator({ url: proxy.url, scopes: [namespace, gone] });
    try {
      await cluster.makeServer("elsewhere", { domain: "_elsewhere.test" }, gone);
      await cluster.makeServer("here", { domain: "_here.test" });
      await cluster.setUp("here");
      const { message } = await cluster.conditionIs("elsewhere", "Ready", "NamespaceForbidden", gone);
      expect(message).toContain(`the operator can't list secrets in namespace ${gone}, so it changes nothing there: `);
      await cluster.conditionIs("elsewhere", "Stalled", "NamespaceForbidden", gone);
      expect((await cluster.server.request("GET", pathOf("statefulsets", "elsewhere", gone))).status).toBe(404);
    } finally {
      await started.stop();
      await proxy.close();
    }
  });

  test("cut off from the API server, it stops before another leads; the other goes on with its work", async () => {
    const proxy = await faultProxy(cluster.server);
    // long enough for a busy machine: the second must not lose it, too
    const times = { lastsMs: 12_000, renewWithinMs: 9_000, retryMs: 500 };
    const start = (identity: string, url?: URL) => {
      const { world, client, log, stopping, close } = cluster.makeWorld(url ? { url } : {});
      const leading = { now: false, calls: 0, writes: () => 0 };
      const ended = leadWithLease({
        client,
        namespace,
        name: "operator",
        identity,
        times,
        log,
        signal: stopping.signal,
        lead: async (signal) => {
          leading.now = true;
          await runServerController(world, { workers: 2, log, signal });
          leading.now = false;
        },
      });
      return { leading, ended, stopping, close };
    };
    const first = start("first", proxy.url);
    await until("the first to lead", () => first.leading.now, patience);
    const second = start("second");
    await cluster.makeServer("lease", { domain: "_lease.test" });
    await cluster.setUp("lease");
    expect(second.leading.now).toBe(false);

    let reached = 0;
    proxy.blackHole();
    await cluster.patch("lease", { accounts: { sendBurst: 21 } });
    await until("the second to lead", () => second.leading.now, patience);
    expect(first.leading.now).toBe(false);
    const sendBurst = async (burst: number) => {
      const { data = {} } = await cluster.get<{ data?: Record<string, string> }>("configmaps", "lease-plan");
      return data["plan.json"]?.includes(`"sendBurst": ${burst}`);
    };
    await until("the edit by the second", () => sendBurst(21), patience);
    expect(await first.ended).toBe("lost");
    proxy.answer(({ method, path }) => {
      if (isWrite(method, path)) reached++;
      return null;
    });
    proxy.heal();
    await cluster.patch("lease", { accounts: { sendBurst: 22 } });
    await until("another edit by the second", () => sendBurst(22), patience);
    expect(second.leading.now).toBe(true);
    expect(reached).toBe(0);
    second.stopping.abort(new Error("stopped"));
    expect(await second.ended).toBe("stopped");
    await first.close();
    await second.close();
    await proxy.close();
  });
});
