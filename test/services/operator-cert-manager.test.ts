/**
 * The operator against a real API server, with the real controllers of cert-manager: a cluster that
 * has none at first, an authority of the cluster's own, what a renewal changes, and orders from a
 * real ACME server (Pebble) by DNS-01 through a real BIND.
 */
import { X509Certificate } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Certificate, CertManager } from "../../src/operator/cert-manager.ts";
import { apiServerIsMissing } from "../helpers/api-server.ts";
import {
  certManagerIsMissing,
  installCertManagerCrds,
  type RunningCertManager,
  startCertManager,
} from "../helpers/cert-manager.ts";
import { type Keys, nameServersAreMissing, newKey, type RealServer, startBind } from "../helpers/dns-servers.ts";
import {
  base64,
  type LiveSecret,
  namespace,
  OperatorCluster,
  type RunningOperator,
} from "../helpers/operator-cluster.ts";
import { type Pebble, pebbleIsMissing, startPebble } from "../helpers/pebble.ts";
import { until } from "../helpers/until.ts";

const missing = apiServerIsMissing() ?? certManagerIsMissing() ?? nameServersAreMissing() ?? pebbleIsMissing();
if (missing) console.warn(`skipped: ${missing}`);
const address = "127.0.11.1";
const nameServer = `${address}:53`;
const zone = "issued.test";
// cert-manager lets the minute of a challenge's record pass before it tells the authority, and
// takes the names of an order in two lots
const patience = { patienceMs: 240_000, everyMs: 100 };

describe.skipIf(missing !== undefined)("with a real API server and real controllers of cert-manager", () => {
  let cluster: OperatorCluster;
  let operator: RunningOperator;
  let certManager: RunningCertManager;
  /** By how much older what the operator remembers of cert-manager is than it would be. */
  let olderMs = 0;

  beforeAll(async () => {
    cluster = await OperatorCluster.open();
    operator = cluster.startOperator({
      worldOf: (made) => ({ ...made, certManager: new CertManager(made.client, () => performance.now() + olderMs) }),
    });
  });
  afterAll(async () => {
    await certManager?.stop();
    await operator?.stop();
    await cluster?.close();
  });

  const issuer = (name: string, spec: object) =>
    cluster.make("issuers", { apiVersion: "cert-manager.io/v1", kind: "Issuer", metadata: { name, namespace }, spec });
  const byIssuer = (name: string, more: object = {}) => ({
    source: "CertManager",
    certManager: { issuerRef: { name, kind: "Issuer" } },
    ...more,
  });
  const ready = (name: string, what: string, is: (message: string) => boolean) =>
    until(
      `${name} to say ${what}`,
      async () => {
        const condition = await cluster.condition(name, "CertificateReady");
        return condition && is(`${condition.status} ${condition.reason} ${condition.message}`) && condition;
      },
      patience,
    ).catch(async (cause) => {
      const now = JSON.stringify(await cluster.condition(name, "CertificateReady"));
      throw new Error(`${String(cause)}; now ${now}; ${certManager?.log().slice(-2_000)}`, { cause });
    });
  const issued = (name: string) => ready(name, "issued", (text) => text.startsWith("True CertificateIssued"));
  /** As any edit of the server does. */
  const touch = (name: string) =>
    cluster.change("chatmailservers", name, { metadata: { annotations: { "test/touched": `${Math.random()}` } } });
  const leafIn = async (name: string) => {
    const { data = {} } = await cluster.get<LiveSecret>("secrets", `${name}-tls-issued`);
    return new X509Certificate(Buffer.from(data["tls.crt"] ?? "", "base64"));
  };
  const certificateOf = (name: string) => cluster.get<Certificate>("certificates", `${name}-tls`);

  test("a cluster without cert-manager is told of; when it is there, it is asked, and what is missing is named", async () => {
    await cluster.makeServer("first", { domain: "first.test", certificate: byIssuer("authority") });
    const { message } = await cluster.conditionIs("first", "CertificateReady", "CertManagerMissing");
    expect(message).toMatch(/^the cluster has no cert-manager \(cert-manager\.io\/v1\): install it/);
    expect((await cluster.condition("first", "Stalled"))?.reason).toBe("CertManagerMissing");

    await installCertManagerCrds(cluster.server);
    olderMs += 60_000;
    await touch("first");
    await ready("first", "what is missing", (text) =>
      text.includes("there is no Issuer authority in namespace chatmail"),
    );
    const { spec, metadata } = await certificateOf("first");
    expect(metadata.ownerReferences).toMatchObject([{ kind: "ChatmailServer", name: "first", controller: true }]);
    expect(spec).toMatchObject({
      secretName: "first-tls-issued",
      dnsNames: ["first.test", "www.first.test", "mta-sts.first.test"],
      issuerRef: { name: "authority", kind: "Issuer", group: "cert-manager.io" },
      privateKey: { algorithm: "ECDSA", size: 256, rotationPolicy: "Never" },
    });
  });

  test("an issuer signs; the Secret is judged as any other, and mounted", async () => {
    certManager = await startCertManager(cluster.server, { nameServer });
    await issuer("itself", { selfSigned: {} });
    await cluster.make("certificates", {
      apiVersion: "cert-manager.io/v1",
      kind: "Certificate",
      metadata: { name: "root", namespace },
      spec: { isCA: true, commonName: "Test root", secretName: "root", issuerRef: { name: "itself", kind: "Issuer" } },
    });
    await issuer("authority", { ca: { secretName: "root" } });
    await ready("first", "that nobody knows the root", (text) =>
      text.startsWith(
        'False CertificateChainIncomplete tls.crt lacks the certificate of "Test root", which signed "first.test"',
      ),
    );

    const { data = {} } = await cluster.get<LiveSecret>("secrets", "root");
    const root = Buffer.from(data["tls.crt"] ?? "", "base64").toString();
    await cluster.make("configmaps", {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "root", namespace },
      data: { "ca.crt": root },
    });
    olderMs += 60_000;
    await cluster.patch("first", { certificate: byIssuer("authority", { caBundle: { configMapName: "root" } }) });
    const { message } = await issued("first");
    expect(message).toMatch(/^from Secret first-tls-issued, until \d{4}-\d\d-\d\d$/);
    expect((await cluster.statusOf("first")).certificate).toMatchObject({
      source: "CertManager",
      secretName: "first-tls-issued",
    });
    await cluster.setUp("first");
    const set = await cluster.get<{ spec: { template: { spec: { volumes: { name: string }[] } } } }>(
      "statefulsets",
      "first",
    );
    expect(set.spec.template.spec.volumes.find(({ name }) => name === "tls")).toMatchObject({
      projected: { sources: [{ secret: { name: "first-tls-issued" } }, { secret: { name: "first-tls-last" } }] },
    });
  });

  test("a renewal keeps the key, as TLSA records need it, unless the spec says otherwise", async () => {
    const renew = async (name: string) => {
      const lastTransitionTime = new Date().toISOString();
      const { status } = await certificateOf(name);
      const issuing = { type: "Issuing", status: "True", reason: "ManuallyTriggered", message: "", lastTransitionTime };
      const conditions = [...(status?.conditions ?? []), issuing];
      await cluster.setStatus("certificates", `${name}-tls`, { conditions });
    };
    const renewed = async (name: string) => {
      const before = await leafIn(name);
      await renew(name);
      const shown = async () => {
        const sha256 = (await cluster.statusOf(name)).certificate?.sha256;
        const now = await leafIn(name);
        const digest = now.fingerprint256.replaceAll(":", "").toLowerCase();
        return now.fingerprint256 !== before.fingerprint256 && sha256 === digest && now;
      };
      const after = await until("the renewed certificate in the status", shown, patience);
      const spki = (of: X509Certificate) => of.publicKey.export({ type: "spki", format: "pem" });
      return spki(before) === spki(after);
    };
    expect(await renewed("first")).toBe(true);
    const rotating = { issuerRef: { name: "authority", kind: "Issuer" }, privateKey: { rotationPolicy: "Always" } };
    await cluster.patch("first", { certificate: { certManager: rotating } });
    await until("the policy", async () => (await certificateOf("first")).spec.privateKey?.rotationPolicy === "Always");
    expect(await renewed("first")).toBe(false);
  });

  test("what a person changes in the Certificate is put right, and nothing is written while all is well", async () => {
    await cluster.change("certificates", "first-tls", { spec: { dnsNames: ["first.test"] } });
    await touch("first");
    const isRight = async () => (await certificateOf("first")).spec.dnsNames?.length === 3;
    await until("all names in the Certificate", isRight, patience);
    // it may issue for the one name first, and for all of them after that
    await until(
      "cert-manager to have issued for all names",
      async () => {
        const { metadata, status } = await certificateOf("first");
        const conditions: readonly { type: string; status: string; observedGeneration?: number }[] =
          status?.conditions ?? [];
        const ready = conditions.find(({ type }) => type === "Ready");
        const isIssuing = conditions.some(({ type, status: is }) => type === "Issuing" && is === "True");
        return ready?.status === "True" && ready.observedGeneration === metadata.generation && !isIssuing;
      },
      patience,
    );
    expect((await leafIn("first")).subjectAltName).toContain("mta-sts.first.test");
    await until("the status to have it", async () => {
      const { sha256 } = (await cluster.statusOf("first")).certificate ?? {};
      return (await leafIn("first")).fingerprint256.replaceAll(":", "").toLowerCase() === sha256;
    });
    await cluster.dnsIsKnown("first");
    const of = async () => ({
      ...(await cluster.versions("first")),
      certificate: (await certificateOf("first")).metadata.generation,
    });
    const before = await of();
    await cluster.makeServer("second", { domain: "_second.test" });
    await cluster.setUp("second");
    expect(await of()).toEqual(before);
  });

  test("a Certificate of that name which somebody else made is left alone", async () => {
    await cluster.make("certificates", {
      apiVersion: "cert-manager.io/v1",
      kind: "Certificate",
      metadata: { name: "third-tls", namespace },
      spec: { dnsNames: ["other.test"], secretName: "other", issuerRef: { name: "nobody", kind: "Issuer" } },
    });
    await cluster.makeServer("third", { domain: "third.test", certificate: byIssuer("authority") });
    const { message } = await cluster.conditionIs("third", "CertificateReady", "ApplyConflict");
    expect(message).toContain("Certificate third-tls exists but does not belong to this server");
    expect((await certificateOf("third")).spec.dnsNames).toEqual(["other.test"]);
  });

  describe("that order from an ACME server", () => {
    const keys: Keys = { writer: newKey("writer"), reader: newKey("reader") };
    let bind: RealServer;
    let pebble: Pebble;
    beforeAll(async () => {
      bind = await startBind({ address, keys, zones: [{ name: zone }] });
      pebble = await startPebble({ nameServer, httpPort: 5002, blocked: [`blocked.${zone}`] });
      await cluster.makeSecret("tsig", "Opaque", { secret: base64(keys.writer.secret.toString("base64")) });
      const rfc2136 = {
        nameserver: nameServer,
        tsigKeyName: keys.writer.name,
        tsigAlgorithm: "HMACSHA256",
        tsigSecretSecretRef: { name: "tsig", key: "secret" },
      };
      await issuer("pebble", {
        acme: {
          server: pebble.directoryUrl,
          caBundle: base64(pebble.authority),
          privateKeySecretRef: { name: "pebble-account" },
          solvers: [{ dns01: { rfc2136 } }],
        },
      });
      await cluster.make("configmaps", {
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { name: "pebble-root", namespace },
        data: { "ca.crt": await pebble.root() },
      });
    });
    afterAll(async () => {
      await pebble?.stop();
      await bind?.stop();
    });
    const certificate = byIssuer("pebble", { caBundle: { configMapName: "pebble-root" } });

    test("a name in the zone gets its certificate, with www and mta-sts, and the account is known", async () => {
      await cluster.makeServer("nine", { domain: `nine.${zone}`, certificate });
      const { message } = await issued("nine");
      expect(message).toMatch(/^from Secret nine-tls-issued, until \d{4}-\d\d-\d\d$/);
      olderMs += 600_000;
      const seen = await operator.world.certManager.issuer(
        { name: "pebble", kind: "Issuer", group: "cert-manager.io" },
        namespace,
        AbortSignal.timeout(10_000),
      );
      expect(seen.accountURI).toMatch(/^https:\/\/127\.0\.0\.1:\d+\/my-account\//);
      expect(seen.problem).toBeUndefined();
    });

    test("what the authority refuses is told in its own words", async () => {
      await cluster.makeServer("blocked", { domain: `blocked.${zone}`, certificate });
      // nothing of a Certificate is watched: an edit, or the time, makes the operator ask
      const refused = async () => {
        await touch("blocked");
        const { message = "" } = (await cluster.condition("blocked", "CertificateReady")) ?? {};
        return message.startsWith("cert-manager has not issued") && message.includes("rejectedIdentifier");
      };
      await until("the authority's words", refused, { ...patience, everyMs: 500 });
    });
  });
});
