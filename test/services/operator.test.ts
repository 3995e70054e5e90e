/**
 * The operator against a real API server: what one tenant may ask of it, and what it does with what
 * an earlier server left behind.
 */
import { createServer } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ChatmailServer } from "../../src/api/chatmail-server.ts";
import { crdOf } from "../../src/api/crd.ts";
import { chatmailServer } from "../../src/api/names.ts";
import { certificateNames, makeSelfSigned } from "../../src/certificates/self-signed.ts";
import type { KubeObject } from "../../src/kube/object.ts";
import { ports } from "../../src/mail/ports.ts";
import { installManifests } from "../../src/operator/manifests.ts";
import type { World } from "../../src/operator/server/world.ts";
import { madeUpKind } from "../helpers/a-kind.ts";
import { type ApiServer, apiServerIsMissing } from "../helpers/api-server.ts";
import { makeAuthority } from "../helpers/authorities.ts";
import {
  base64,
  namespace,
  OperatorCluster,
  pathOf,
  type RunningOperator,
  relayImage,
} from "../helpers/operator-cluster.ts";
import { patienceMs, until } from "../helpers/until.ts";
import { wrongTogether } from "../helpers/wrong-specs.ts";

const missing = apiServerIsMissing();
if (missing) console.warn(`skipped: ${missing}`);

const other = "internal-project";

interface Volume {
  name: string;
  secret?: { secretName: string };
  projected?: { sources: { secret: { name: string } }[] };
  emptyDir?: object;
}

type LiveSet = KubeObject & {
  spec: { template: { spec: { volumes: Volume[]; containers: { image: string }[] } } };
};

describe.skipIf(missing !== undefined)("with a real API server", () => {
  let cluster: OperatorCluster;
  let operator: RunningOperator;
  let server: ApiServer;
  let world: World;
  /** A fault of the operator, as a programming error would be one. */
  let fault: Error | undefined;

  const get = <T = KubeObject>(kind: string, name: string) => cluster.get<T>(kind, name);
  const exists = (kind: string, name: string) => cluster.exists(kind, name);
  const make = (kind: string, object: object) => cluster.make(kind, object);
  const patch = (name: string, spec: object) => cluster.patch(name, spec);
  const makeServer = (name: string, spec: object, at?: string) => cluster.makeServer(name, spec, at);
  const makeSecret = (name: string, type: string, data: Record<string, string>) => cluster.makeSecret(name, type, data);
  const conditionIs = (name: string, type: string, reason: string, at?: string) =>
    cluster.conditionIs(name, type, reason, at);
  const setUp = (name: string) => cluster.setUp(name);
  const removeServer = (name: string) => cluster.removeServer(name, world);
  const volumeOf = async (name: string, volume: string) =>
    (await get<LiveSet>("statefulsets", name)).spec.template.spec.volumes.find((each) => each.name === volume);

  beforeAll(async () => {
    cluster = await OperatorCluster.open([namespace, other]);
    server = cluster.server;
    operator = cluster.startOperator({
      serverDefaults: { privacy: { postal: "Default Street" } },
      worldOf: (made) => ({
        ...made,
        get relayImage() {
          if (fault) throw fault;
          return relayImage;
        },
      }),
    });
    world = operator.world;
  });
  afterAll(async () => {
    await operator?.stop();
    await cluster?.close();
  });

  describe("what is kept under the name of a server", () => {
    const kept = [
      ["persistentvolumeclaims", "kept-data"],
      ["secrets", "kept-tls"],
      ["secrets", "kept-dkim"],
      ["secrets", "kept-turn"],
      ["secrets", "kept-invites"],
    ] as const;
    const spec = { accounts: { registration: "Invite" }, services: { turn: { enabled: true } } };
    const volume = async () => (await get("persistentvolumeclaims", "kept-data")).metadata;

    test("says the domain that it belongs to, in the cluster and in what the operator remembers of it", async () => {
      await makeServer("kept", { ...spec, domain: "203.0.113.9", certificate: { source: "SelfSigned" } });
      await setUp("kept");
      for (const [kind, name] of kept.filter(([, each]) => each !== "kept-dkim"))
        expect([name, (await get(kind, name)).metadata.annotations]).toMatchObject([
          name,
          { "chatmail.dev/domain": "203.0.113.9" },
        ]);
      await until("the watches to bring it", () =>
        ["volumeClaims", "secrets"].every((store) => {
          const objects = world.stores[store as "secrets"].get(
            namespace,
            store === "secrets" ? "kept-tls" : "kept-data",
          );
          return objects?.metadata.annotations?.["chatmail.dev/domain"] === "203.0.113.9";
        }),
      );
      await removeServer("kept");
    });

    test("is not given to another domain: nothing is written, and the message has the command that resolves it", async () => {
      const { resourceVersion } = await volume();
      await makeServer("kept", { ...spec, domain: "kept.example.org", certificate: { source: "SelfSigned" } });
      const { message } = await conditionIs("kept", "Ready", "ApplyConflict");
      expect(message).toMatch(
        /^mailboxes or keys of 203\.0\.113\.9 were kept under the name kept: use another name for this server/,
      );
      expect(message).toContain("kubectl -n chatmail delete ");
      for (const [, name] of kept.filter(([, each]) => each !== "kept-dkim")) expect(message).toContain(`/${name}`);
      expect((await volume()).resourceVersion).toBe(resourceVersion);
      expect(await exists("statefulsets", "kept")).toBe(false);
      expect(await exists("secrets", "kept-dkim")).toBe(false);
    });

    test("after that command the server is set up", async () => {
      const clear = "/metadata/finalizers";
      const path = pathOf("persistentvolumeclaims", "kept-data");
      await server.request("PATCH", path, [{ op: "remove", path: clear }], "application/json-patch+json");
      for (const [kind, name] of kept) await server.request("DELETE", pathOf(kind, name));
      await setUp("kept");
      expect((await volume()).annotations).toMatchObject({ "chatmail.dev/domain": "kept.example.org" });
      await removeServer("kept");
    });

    test("is found again by a server of the same domain", async () => {
      const { uid } = await volume();
      const key = await get<{ data: object }>("secrets", "kept-dkim");
      await makeServer("kept", { ...spec, domain: "kept.example.org", certificate: { source: "SelfSigned" } });
      await setUp("kept");
      expect((await volume()).uid).toBe(uid);
      expect((await get<{ data: object }>("secrets", "kept-dkim")).data).toEqual(key.data);
    });
  });

  test("an image that the operator's configuration does not allow changes nothing of what runs", async () => {
    await makeServer("image", { domain: "_image.test" });
    await setUp("image");
    const before = await get<LiveSet>("statefulsets", "image");
    await patch("image", { image: { reference: "registry.example/chatmail-relay.evil.example/relay:1" } });
    const { message } = await conditionIs("image", "Ready", "ImageNotAllowed");
    expect(message).toContain("the operator allows images of registry.example/chatmail-relay, registry.example/team/");
    await conditionIs("image", "Stalled", "ImageNotAllowed");
    expect((await get<LiveSet>("statefulsets", "image")).metadata.resourceVersion).toBe(
      before.metadata.resourceVersion,
    );
    await patch("image", { image: { reference: "registry.example/team/relay:2" } });
    await until("the allowed image", async () => {
      const { containers } = (await get<LiveSet>("statefulsets", "image")).spec.template.spec;
      return containers.every(({ image }) => image === "registry.example/team/relay:2");
    });
  });

  test("the CRD of a second kind, of groups that the first has too, is accepted and judges its objects", async () => {
    const crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    expect((await server.request("POST", crds, crdOf(madeUpKind))).status).toBe(201);
    const path = `/apis/chatmail.dev/v1alpha1/namespaces/${namespace}/${madeUpKind.plural}`;
    const post = (name: string, spec: object) =>
      server.request<{ message?: string; spec?: object }>("POST", path, {
        apiVersion: "chatmail.dev/v1alpha1",
        kind: madeUpKind.kind,
        metadata: { name, namespace },
        spec,
      });
    await until("the CRD to be served", async () => (await server.request("GET", path)).status === 200);
    expect(await post("one", {})).toMatchObject({ status: 201, body: { spec: {} } });
    const refused = await post("two", { network: { exposure: "HostPort", service: { loadBalancerClass: "x" } } });
    expect(refused.body.message).toContain("loadBalancerClass is only used when exposure is LoadBalancer");
    expect((await post("n".repeat(21), {})).body.message).toContain("a short name");
  });

  test("what a spec leaves out is the operator's configuration, and the spec stays as it is", async () => {
    const plan = async () =>
      (await get<{ data?: Record<string, string> }>("configmaps", "defaulted-plan")).data?.["plan.json"] ?? "";
    const spec = { domain: "_defaulted.test", privacy: { supervisor: "N. N." } };
    await makeServer("defaulted", spec);
    await setUp("defaulted");
    expect(JSON.parse(await plan())).toMatchObject({
      domains: [{ privacy: { postal: "Default Street", supervisor: "N. N." } }],
    });
    await patch("defaulted", { privacy: { postal: "Own Street" } });
    await until("the spec's own", async () => (await plan()).includes("Own Street"));
    expect(await get<ChatmailServer>(chatmailServer.plural, "defaulted")).toHaveProperty("spec", {
      ...spec,
      privacy: { supervisor: "N. N.", postal: "Own Street" },
    });
  });

  test("what a spec says of pods, image and Service is applied, and written once", async () => {
    const term = { matchExpressions: [{ key: "zone", operator: "In", values: ["a"] }] };
    const nodeAffinity = { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [term] } };
    await makeServer("dressed", {
      domain: "_dressed.test",
      image: { pullPolicy: "Always", pullSecrets: [{ name: "registry" }] },
      pod: { labels: { team: "mail" }, annotations: { a: "b" }, serviceAccountName: "mail" },
      scheduling: { affinity: { nodeAffinity }, runtimeClassName: "gvisor" },
      network: {
        service: { labels: { team: "mail" }, loadBalancerSourceRanges: ["192.0.2.0/24"], allocateNodePorts: false },
      },
      resources: { expiry: { limits: { memory: "1Gi" } } },
    });
    await setUp("dressed");
    expect(await get("statefulsets", "dressed")).toMatchObject({
      spec: {
        template: {
          metadata: { labels: { team: "mail" } },
          spec: { affinity: { nodeAffinity }, runtimeClassName: "gvisor" },
        },
      },
    });
    expect(await get("services", "dressed")).toMatchObject({ spec: { allocateLoadBalancerNodePorts: false } });
    const before = await cluster.versions("dressed");
    await patch("dressed", { accounts: { sendBurst: 21 } });
    await until("the edit", async () => {
      const { data = {} } = await get<{ data?: Record<string, string> }>("configmaps", "dressed-plan");
      return data["plan.json"]?.includes('"sendBurst": 21');
    });
    const edited = ["configmaps/dressed-plan", "chatmailservers/dressed"];
    const others = (versions: typeof before) => Object.entries(versions).filter(([name]) => !edited.includes(name));
    expect(others(await cluster.versions("dressed"))).toEqual(others(before));
  });

  test("node ports are those of the spec; one that can't be had is said, and may be taken back", async () => {
    // of the lowest, which Kubernetes gives to nobody who asks for any
    interface Ported extends KubeObject {
      spec: { ports: { name: string; nodePort?: number }[] };
    }
    const portOf = async (name: string) =>
      (await get<Ported>("services", "ported")).spec.ports.find((port) => port.name === name)?.nodePort;
    await makeServer("ported", {
      domain: "_ported.test",
      network: { exposure: "NodePort", service: { nodePorts: { smtp: 30_025 } } },
      storage: { annotations: { "example.com/backup": "daily" } },
    });
    await setUp("ported");
    expect(await portOf("smtp")).toBe(30_025);
    expect((await get("persistentvolumeclaims", "ported-data")).metadata.annotations).toMatchObject({
      "example.com/backup": "daily",
    });
    const chosen = await portOf("imaps");
    await patch("ported", { network: { service: { nodePorts: { imap: 30_025 } } } });
    expect((await conditionIs("ported", "AddressesReady", "ApplyFailed")).message).toContain("30025");
    await patch("ported", { network: { service: { nodePorts: { imap: 30_026 } } } });
    await until("the next one", async () => (await portOf("imap")) === 30_026);
    expect(await portOf("imaps")).toBe(chosen);
    await patch("ported", { network: { service: { nodePorts: null } } });
    await until("no failure", async () => {
      const condition = await cluster.condition("ported", "AddressesReady");
      return condition?.reason !== "ApplyFailed" && condition?.observedGeneration === 4;
    });
  });

  test.each(wrongTogether)("a spec by which $when is refused with both values", async ({ spec, says }) => {
    await makeServer("together", spec);
    const { message } = await conditionIs("together", "Ready", "SpecInvalid");
    expect(message).toBe(says);
    await cluster.remove(chatmailServer.plural, "together");
  });

  describe("a domain", () => {
    test("that a tenant claims without being served is free for others, who learn nothing of the tenant", async () => {
      await makeServer("squat", { domain: "_claimed.test", management: "Unmanaged" }, other);
      await conditionIs("squat", "Ready", "Unmanaged", other);
      await makeServer("refused", { domain: "_claimed.test", image: { reference: "evil.example/relay:1" } }, other);
      await conditionIs("refused", "Ready", "ImageNotAllowed", other);
      await makeServer("claims", { domain: "_claimed.test" });
      await setUp("claims");
      await makeServer("late", { domain: "_claimed.test" }, other);
      const { message } = await conditionIs("late", "Ready", "DomainTaken", other);
      expect(message).not.toMatch(/claims|namespace chatmail|chatmail\//);
    });

    test("stays with the server that serves it when an older claim becomes valid", async () => {
      const path = pathOf(chatmailServer.plural, "squat", other);
      await server.request("PATCH", path, { spec: { management: "Managed" } }, "application/merge-patch+json");
      await conditionIs("squat", "Ready", "DomainTaken", other);
      const ready = async () =>
        (await get<ChatmailServer>(chatmailServer.plural, "claims")).status?.conditions?.find(
          ({ type }) => type === "Ready",
        );
      expect((await ready())?.reason).not.toBe("DomainTaken");
    });
  });

  describe("NetworkPolicies", () => {
    interface Policy extends KubeObject {
      spec: {
        podSelector: { matchLabels: Record<string, string>; matchExpressions?: object[] };
        ingress?: object[];
        egress?: object[];
      };
    }
    const component = async (name: string) =>
      (await get<Policy>("networkpolicies", name)).spec.podSelector.matchLabels["chatmail.dev/component"];

    test("are made with all that a spec may ask of them, and written once", async () => {
      const network = {
        privatePeers: ["10.20.30.40/16", "fd00::/8"],
        refusedPeers: ["8.8.8.8/24", "2600::5/32"],
        policy: { metricsFrom: { namespaceLabels: { team: "monitoring" }, podLabels: { app: "prometheus" } } },
      };
      const services = { turn: { enabled: true }, push: { url: "https://push.example:8443/" } };
      await makeServer("walled", { domain: "_walled.test", network, services });
      await setUp("walled");
      const { spec, metadata } = await get<Policy>("networkpolicies", "walled");
      expect([spec.ingress?.length, spec.egress?.length]).toEqual([2, 5]);
      expect(await get<Policy>("networkpolicies", "walled-expiry")).toMatchObject({
        spec: { policyTypes: ["Ingress", "Egress"] },
      });
      await patch("walled", { accounts: { sendBurst: 21 } });
      await until("the edit", async () => {
        const { data = {} } = await get<{ data?: Record<string, string> }>("configmaps", "walled-plan");
        return data["plan.json"]?.includes('"sendBurst": 21');
      });
      expect((await get("networkpolicies", "walled")).metadata.resourceVersion).toBe(metadata.resourceVersion);
    });

    test("that are turned off select no pod, and come back", async () => {
      expect([await component("walled"), await component("walled-expiry")]).toEqual(["relay", undefined]);
      const { matchExpressions } = (await get<Policy>("networkpolicies", "walled-expiry")).spec.podSelector;
      expect(matchExpressions).toMatchObject([{ operator: "In", values: ["expiry", "check", "move"] }]);
      await patch("walled", { network: { policy: { enabled: false } } });
      await until("both to select nothing", async () =>
        [await component("walled"), await component("walled-expiry")].every((each) => each === "none"),
      );
      expect((await get<Policy>("networkpolicies", "walled")).spec).not.toHaveProperty("egress");
      await patch("walled", { network: { policy: { enabled: true } } });
      await until("both to select pods", async () =>
        [await component("walled"), await component("walled-expiry")].every((each) => each !== "none"),
      );
    });

    test("are not made where they are turned off from the beginning", async () => {
      await makeServer("open", { domain: "_open.test", network: { policy: { enabled: false } } });
      await setUp("open");
      await until("the last object", () => exists("cronjobs", "open-expiry"));
      expect(await exists("networkpolicies", "open")).toBe(false);
    });
  });

  describe("Pod Security Standards", () => {
    interface Template {
      metadata: object;
      spec: { containers: object[] };
    }
    const podsOf = async (name: string) => {
      const set = await get<{ spec: { template: Template } }>("statefulsets", name);
      const job = await get<{ spec: { jobTemplate: { spec: { template: Template } } } }>("cronjobs", `${name}-expiry`);
      return { relay: set.spec.template, expiry: job.spec.jobTemplate.spec.template };
    };
    /**
     * What the admission of a namespace with this level says; undefined where it has no objection.
     */
    const objection = async (level: string, { metadata, spec }: Template) => {
      const pod = { apiVersion: "v1", kind: "Pod", metadata: { ...metadata, name: "try", namespace: level }, spec };
      const { status, body } = await server.request<{ message?: string }>(
        "POST",
        `/api/v1/namespaces/${level}/pods?dryRun=All`,
        pod,
      );
      return status === 201 ? undefined : (body.message ?? `HTTP ${status}`);
    };

    beforeAll(async () => {
      for (const level of ["baseline", "restricted"]) {
        await server.makeNamespace(level);
        const metadata = { labels: { "pod-security.kubernetes.io/enforce": level } };
        await server.request("PATCH", `/api/v1/namespaces/${level}`, { metadata }, "application/merge-patch+json");
      }
      const services = { turn: { enabled: true } };
      await makeServer("secure", { domain: "_secure.test", services });
      await makeServer("hosted", { domain: "_hosted.test", network: { exposure: "HostPort" } });
      for (const name of ["secure", "hosted"])
        await until(`the last object of ${name}`, () => exists("cronjobs", `${name}-expiry`), {
          patienceMs: patienceMs.client,
        });
    });

    test("the relay pod is baseline, and two containers with root keep it from restricted", async () => {
      const { relay } = await podsOf("secure");
      expect(await objection("baseline", relay)).toBeUndefined();
      const said = await objection("restricted", relay);
      expect(said).toMatch(/runAsNonRoot != true \(containers "prepare", "postfix"/);
      expect(said).not.toMatch(/"(relay|dovecot|web|turn)"/);
    });

    test("with HostPort it is neither", async () => {
      expect(await objection("baseline", (await podsOf("hosted")).relay)).toMatch(/hostPort/);
    });

    test("the clean-up and the operator are restricted", async () => {
      expect(await objection("restricted", (await podsOf("secure")).expiry)).toBeUndefined();
      const install = { namespace, operatorImage: "operator:1", relayImage, version: "1" };
      const deployment = installManifests(install).find(({ kind }) => kind === "Deployment") as unknown as {
        spec: { template: Template };
      };
      expect(await objection("restricted", deployment.spec.template)).toBeUndefined();
    });
  });

  describe("Secrets that a spec names", () => {
    test("invites: only while registration is Invite, and only from a Secret that can hold them", async () => {
      await makeSecret("database", "Opaque", { password: base64("correct-horse-battery") });
      await makeSecret("registry", "kubernetes.io/dockerconfigjson", { ".dockerconfigjson": base64("{}") });
      await makeServer("named", { domain: "_named.test", accounts: { invitesSecretName: "database" } });
      await setUp("named");
      expect(await volumeOf("named", "invites")).toEqual({ name: "invites", emptyDir: { sizeLimit: "1Mi" } });
      await patch("named", { accounts: { registration: "Invite" } });
      await conditionIs("named", "InvitesReady", "InvitesThere");
      expect((await volumeOf("named", "invites"))?.secret).toMatchObject({ secretName: "database" });
      for (const name of ["registry", "image-dkim", "image-tls"]) {
        await patch("named", { accounts: { invitesSecretName: name } });
        await until(`${name} to be refused`, async () => {
          const { message } = await conditionIs("named", "InvitesReady", "InvitesMissing");
          return (
            message.startsWith(`Secret ${name} can't be used for invites`) ||
            (name === "image-dkim" && "no such Secret")
          );
        });
        if (name !== "image-dkim") expect((await volumeOf("named", "invites"))?.secret).toBeUndefined();
      }
    });

    test("a certificate: only of type kubernetes.io/tls and not one of another server's; what runs goes on", async () => {
      const domain = "203.0.113.20";
      const { certificatePem, keyPem } = await makeSelfSigned(domain, new Date());
      const data = { "tls.crt": base64(certificatePem), "tls.key": base64(keyPem) };
      await makeSecret("opaque-pair", "Opaque", data);
      await makeServer("pair", { domain, certificate: { source: "SelfSigned" } });
      await setUp("pair");
      const { resourceVersion } = (await get("statefulsets", "pair")).metadata;
      for (const [secretName, says] of [
        ["opaque-pair", /is of type Opaque: the operator serves only Secrets of type kubernetes\.io\/tls/],
        ["image-tls", /was created by the operator for a ChatmailServer/],
      ] as const) {
        await patch("pair", { certificate: { source: "Secret", secret: { name: secretName } } });
        await until(`${secretName} to be refused`, async () =>
          says.test((await conditionIs("pair", "CertificateReady", "CertificateMissing")).message),
        );
        expect((await get("statefulsets", "pair")).metadata.resourceVersion).toBe(resourceVersion);
      }
      await makeSecret("real-pair", "kubernetes.io/tls", data);
      await patch("pair", { certificate: { source: "Secret", secret: { name: "real-pair" } } });
      await conditionIs("pair", "CertificateReady", "CertificateIssued");
      const { sources } = (await volumeOf("pair", "tls"))?.projected ?? {};
      expect(sources?.map(({ secret }) => secret.name)).toEqual(["real-pair", "pair-tls-last"]);
    });
  });

  test("a given certificate for a name must lead to an authority that everybody knows, or that the spec names", async () => {
    const domain = "verified.example.org";
    const root = await makeAuthority("Own root");
    const middle = await root.below("Own middle");
    const { certificatePem, keyPem } = await middle.issue(certificateNames(domain));
    const give = (chain: string) => ({ "tls.crt": base64(certificatePem + chain), "tls.key": base64(keyPem) });
    const change = async (kind: string, name: string, data: object) => {
      const answer = await server.request("PATCH", pathOf(kind, name), { data }, "application/merge-patch+json");
      expect(answer.status).toBe(200);
    };
    await makeSecret("leaf", "kubernetes.io/tls", give(""));
    await makeServer("verified", { domain, certificate: { source: "Secret", secret: { name: "leaf" } } });
    const alone = await conditionIs("verified", "CertificateReady", "CertificateChainIncomplete");
    expect(alone.message).toMatch(/^tls\.crt lacks the certificate of "Own middle"/);
    await change("secrets", "leaf", give(middle.pem + root.pem));
    const unknown = await conditionIs("verified", "CertificateReady", "CertificateUntrusted");
    expect(unknown.message).toBe('"Own root" is self-signed and not a root certificate that clients trust');

    const caBundle = { configMapName: "authorities" };
    await patch("verified", { certificate: { caBundle } });
    const says = (words: string) =>
      until(words, async () =>
        (await conditionIs("verified", "CertificateReady", "CertificateUntrusted")).message.includes(words),
      );
    await says("there is no ConfigMap authorities, which certificate.caBundle names");
    const map = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "authorities", namespace } };
    await make("configmaps", { ...map, data: { "other.crt": root.pem } });
    await says("ConfigMap authorities has no key ca.crt");
    await change("configmaps", "authorities", { "ca.crt": "nothing" });
    await says("ca.crt in ConfigMap authorities contains no certificate in PEM format");
    // each of these is seen by a watch, and at once
    await change("configmaps", "authorities", { "ca.crt": root.pem });
    await conditionIs("verified", "CertificateReady", "CertificateIssued");
    await change("secrets", "leaf", {
      "tls.crt": base64(certificatePem.replaceAll("CERTIFICATE", "TRUSTED CERTIFICATE")),
    });
    const form = await conditionIs("verified", "CertificateReady", "CertificateInvalid");
    expect(form.message).toMatch(/it has BEGIN TRUSTED CERTIFICATE, not BEGIN CERTIFICATE/);
  });

  describe("AcceptingAccounts", () => {
    const health = { host: "127.0.0.53", port: ports.health };
    let answer = { status: 200, body: "" };
    let asked = 0;
    const relay = createServer(({ url }, response) => {
      expect(url).toBe("/status?destinations");
      asked++;
      response.writeHead(answer.status).end(answer.body);
    });
    const report = (accepting: object, more: object = {}) => ({
      status: 200,
      body: JSON.stringify({
        acceptingAccounts: { "_asked.test": accepting },
        ...more,
        later: "unknown to this version",
      }),
    });
    const delivering = (deliverable: unknown) => report({ status: true }, { deliverable });
    const refusing = (reason: string, message: string) => report({ status: false, reason, message });
    /** As the kubelet writes it; each change of the pod is a reason to ask. */
    const podSays = async (ready: "True" | "False", message = "") => {
      const conditions = [{ type: "Ready", status: ready, message, lastTransitionTime: "2026-11-29T12:00:00Z" }];
      const status = { phase: "Running", podIP: health.host, podIPs: [{ ip: health.host }], conditions };
      const path = `${pathOf("pods", "asked-0")}/status`;
      expect((await server.request("PATCH", path, { status }, "application/merge-patch+json")).status).toBe(200);
    };
    const version = async () => (await get(chatmailServer.plural, "asked")).metadata.resourceVersion;

    beforeAll(async () => {
      await new Promise<void>((resolve) => relay.listen(health, resolve));
      await makeServer("asked", { domain: "_asked.test" });
      await setUp("asked");
      const { template } = (
        await get<{ spec: { template: { metadata: object; spec: object } } }>("statefulsets", "asked")
      ).spec;
      const { metadata, spec } = template;
      await make("pods", {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { ...metadata, name: "asked-0", namespace },
        spec,
      });
    });
    afterAll(() => new Promise((resolve) => relay.close(resolve)));

    test("is Unknown before the pod is ready, and then what the relay reports", async () => {
      await conditionIs("asked", "AcceptingAccounts", "RelayNotAsked");
      expect(asked).toBe(0);
      answer = report({ status: true });
      await podSays("True");
      const { status, message } = await conditionIs("asked", "AcceptingAccounts", "AccountsOpen");
      expect([status, message]).toEqual(["True", "new accounts are created"]);
    });

    test.each([
      ["DiskLow", "DiskLow", "free disk 812MB < 1024MB"],
      ["MemoryLow", "MemoryLow", "available memory 20MB < 64MB"],
      ["LoadHigh", "LoadHigh", "load avg per core 5.00 > 4.00"],
      ["Closed", "Closed", "registration is Closed"],
      ["FullMoon", "AccountsRefused", "the moon is full"],
    ])("is False where the relay says %s", async (reported, reason, words) => {
      answer = refusing(reported, words);
      await podSays("True", reported);
      const { status, message } = await conditionIs("asked", "AcceptingAccounts", reason);
      expect(status).toBe("False");
      expect(message).toBe(`no new accounts are created: ${words}. Existing accounts are served`);
    });

    test("is not written again for another figure, nor for one or two answers that are missing", async () => {
      answer = refusing("DiskLow", "free disk 812MB < 1024MB");
      await podSays("True", "disk");
      await conditionIs("asked", "AcceptingAccounts", "DiskLow");
      const before = await version();
      for (const [step, next] of [
        ["figure", refusing("DiskLow", "free disk 811MB < 1024MB")],
        ["error", { status: 500, body: "" }],
        ["nonsense", { status: 200, body: "<html>" }],
      ] as const) {
        answer = next;
        const since = asked;
        await podSays("True", step);
        await until("the question", () => asked > since);
      }
      expect(await version()).toBe(before);
    });

    test("is Unknown when the third answer in a row is missing, with the cause", async () => {
      answer = { status: 503, body: "" };
      await podSays("True", "third");
      const { status, message } = await conditionIs("asked", "AcceptingAccounts", "RelayUnreachable");
      expect(status).toBe("Unknown");
      expect(message).toBe("the operator can't read the relay pod's health port, 9090: answered HTTP 503");
    });

    describe("and Deliverable", () => {
      test("is Unknown where the relay's image does not report it, or in a way that is not known here", async () => {
        for (const [step, next] of [
          ["old image", report({ status: true })],
          ["newer image", delivering({ "_asked.test": "perhaps" })],
        ] as const) {
          answer = next;
          await podSays("True", step);
          const { status, message } = await conditionIs("asked", "Deliverable", "NotProbed");
          expect([status, message]).toEqual(["Unknown", "the relay's image does not send messages to itself"]);
          await conditionIs("asked", "AcceptingAccounts", "AccountsOpen");
        }
      });

      test("is asked for again soon, until there is a verdict", async () => {
        answer = delivering({});
        const since = asked;
        await podSays("True", "starting");
        await until("more questions", () => asked >= since + 3);
        answer = delivering({ "_asked.test": { status: true, since: "2026-11-29T12:00:00Z", latencyMs: 41 } });
        const { status } = await conditionIs("asked", "Deliverable", "MessageDelivered");
        expect(status).toBe("True");
      });

      test("is not written again for another figure", async () => {
        const before = await version();
        const since = asked;
        answer = delivering({ "_asked.test": { status: true, since: "2026-11-29T12:00:00Z", latencyMs: 58 } });
        await podSays("True", "latency");
        await until("the question", () => asked > since);
        expect(await version()).toBe(before);
      });

      test("is False with step and words where messages do not arrive", async () => {
        const since = "2026-11-29T12:01:00Z";
        const words = "submission, port 465: 452 4.3.1 Insufficient system storage";
        answer = delivering({ "_asked.test": { status: false, since, step: "submit", message: words } });
        await podSays("True", "full");
        const { status, message } = await conditionIs("asked", "Deliverable", "DeliveryFailed");
        expect([status, message]).toEqual([
          "False",
          `messages of the relay to itself are not delivered: step submit fails (${words})`,
        ]);
        answer = delivering({ "_asked.test": { status: true, since, latencyMs: 40 } });
        await podSays("True", "room again");
        await conditionIs("asked", "Deliverable", "MessageDelivered");
      });
    });
  });

  test("a fault of the operator is in the status, which keeps what was known, and passes with its cause", async () => {
    await makeServer("faulty", { domain: "_faulty.test" });
    await setUp("faulty");
    await conditionIs("faulty", "CertificateReady", "CertificateIssued");
    const before = (await get<ChatmailServer>(chatmailServer.plural, "faulty")).status;
    fault = new RangeError("a setting must be one line");
    try {
      await patch("faulty", { accounts: { sendBurst: 21 } });
      const { message, status } = await conditionIs("faulty", "Ready", "InternalError");
      expect(status).toBe("False");
      expect(message).toBe(
        "internal error of the operator, please report it: a setting must be one line. The relay keeps running unchanged",
      );
      const { conditions = [], ...rest } = (await get<ChatmailServer>(chatmailServer.plural, "faulty")).status ?? {};
      const { conditions: known = [], observedGeneration: _, ...restBefore } = before ?? {};
      expect(rest).toMatchObject(restBefore);
      expect(conditions.map(({ type }) => type).sort()).toEqual(known.map(({ type }) => type).sort());
      expect(
        operator.log.lines.some(({ level, fields }) => level === "error" && "err" in fields && fields.err === fault),
      ).toBe(true);
    } finally {
      fault = undefined;
    }
    await until(
      "the change",
      async () => {
        const { data = {} } = await get<{ data?: Record<string, string> }>("configmaps", "faulty-plan");
        return data["plan.json"]?.includes('"sendBurst": 21');
      },
      { patienceMs: patienceMs.client },
    );
    await until(
      "Ready to say something else",
      async () => {
        const { status } = await get<ChatmailServer>(chatmailServer.plural, "faulty");
        return status?.conditions?.some(({ type, reason }) => type === "Ready" && reason !== "InternalError");
      },
      { patienceMs: patienceMs.client },
    );
  });
});
