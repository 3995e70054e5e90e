/**
 * The operator against a real API server, a real BIND that takes its updates, and a real ACME
 * server. What the relay's nginx answers on port 80 is played as the plan says it.
 */
import { randomBytes, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { connect, createServer as createTcpServer, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { annotations, labels } from "../../src/api/names.ts";
import { askServer } from "../../src/dns/ask.ts";
import { ports } from "../../src/mail/ports.ts";
import { planFile } from "../../src/pod/layout.ts";
import { planHash } from "../../src/pod/plan-files.ts";
import { apiServerIsMissing } from "../helpers/api-server.ts";
import { type Keys, nameServersAreMissing, newKey, type RealServer, startBind } from "../helpers/dns-servers.ts";
import {
  base64,
  type LiveSecret,
  namespace,
  OperatorCluster,
  type RunningOperator,
} from "../helpers/operator-cluster.ts";
import { type Pebble, pebbleIsMissing, startPebble } from "../helpers/pebble.ts";
import { patienceMs, until } from "../helpers/until.ts";

const missing = apiServerIsMissing() ?? nameServersAreMissing() ?? pebbleIsMissing();
if (missing) console.warn(`skipped: ${missing}`);

/** The root and "zone.test", its server, a resolver, and the relays. */
const at = {
  root: "127.0.10.1",
  zone: "127.0.10.2",
  resolver: "127.0.10.3",
  relay: "127.0.10.4",
  strict: "127.0.10.5",
};
const zone = "zone.test";
const httpPort = 5080;
const patience = { patienceMs: patienceMs.client, everyMs: 100 };
const dayMs = 86_400_000;
/** Of those that are not asked for by name Pebble takes any. */
const profiles = { usual: 90 * 86_400, shortlived: 6 * 86_400 };

describe.skipIf(missing !== undefined)("with a real API server, name server and ACME server", () => {
  const keys: Keys = { writer: newKey("writer"), reader: newKey("reader") };
  const running: RealServer[] = [];
  const listening: Server[] = [];
  let pebble: Pebble;
  /** Takes no account that is not tied to one that it knows. */
  let strict: Pebble;
  const hmacKey = randomBytes(32);
  let cluster: OperatorCluster;
  let operator: RunningOperator;

  const planOf = async (name: string) =>
    (await cluster.get<{ data?: Record<string, string> }>("configmaps", `${name}-plan`)).data?.[planFile] ?? "";
  /** For servers that may be asked while all ends. */
  const planNow = (name: string) => planOf(name).catch(() => "");
  const listen = (server: Server, port: number) => {
    listening.push(server);
    return new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, at.relay, () => resolve());
    });
  };
  const start = (now?: () => Date) =>
    cluster.startOperator({
      ...(now && { now }),
      serverDefaults: {
        certificate: {
          acme: { directoryURL: pebble.directoryUrl, email: "admin@example.org" },
          caBundle: { configMapName: "authorities" },
        },
      },
      resolvers: [at.resolver],
      acmeBackOff: { firstMs: 500, mostMs: 2_000 },
    });

  /** The authority is reached by this port, too, while `openForwarder` lasts. */
  const forwarderPort = 5443;
  let forwarder: { close: () => Promise<void> } | undefined;
  const openForwarder = async () => {
    const { hostname, port } = new URL(pebble.directoryUrl);
    const sockets = new Set<Socket>();
    const server = createTcpServer((from) => {
      const to = connect(Number(port), hostname);
      const both = [from, to];
      for (const each of both) {
        sockets.add(each);
        each.on("error", () => undefined);
        each.on("close", () => both.map((socket) => socket.destroy()));
      }
      from.pipe(to).pipe(from);
    });
    server.listen(forwarderPort, "127.0.0.1");
    await once(server, "listening");
    const close = async () => {
      if (!server.listening) return;
      const closed = once(server, "close");
      server.close();
      for (const each of sockets) each.destroy();
      await closed;
    };
    forwarder = { close };
  };

  beforeAll(async () => {
    const server = "one.servers.test.";
    const one = await startBind({ address: at.zone, keys, zones: [{ name: zone, servers: [server] }] });
    const glue = `one.servers.test. A ${at.zone}\nroot-server.test. A ${at.root}`;
    const root = await startBind({
      address: at.root,
      zones: [
        { name: "", servers: ["root-server.test."], records: `test. NS root-server.test.\n${glue}` },
        { name: "test", servers: ["root-server.test."], records: `${zone}. NS ${server}\n${glue}` },
      ],
    });
    const resolver = await startBind({ address: at.resolver, zones: [], resolver: { root: at.root } });
    running.push(one, root, resolver);
    pebble = await startPebble({
      nameServer: `${at.zone}:53`,
      httpPort,
      blocked: [`blocked.${zone}`],
      profiles,
    });
    cluster = await OperatorCluster.open();
    strict = await startPebble({
      address: at.strict,
      nameServer: `${at.zone}:53`,
      httpPort,
      profiles,
      externalAccounts: { mine: hmacKey.toString("base64url") },
    });
    const all = [pebble.authority, await pebble.root(), strict.authority, await strict.root()];
    const authorities = all.join("\n");
    await cluster.make("configmaps", { metadata: { name: "authorities", namespace }, data: { "ca.crt": authorities } });
    await cluster.makeSecret("tsig", "Opaque", { secret: base64(keys.writer.secret.toString("base64")) });
    // every relay is at one address: the server is told apart by the name in the request
    const nameFor = (host = "") => (host.startsWith(at.relay) ? "address" : (host.split(".").at(-3) ?? ""));
    const web = createServer((question, answer) => {
      void planNow(nameFor(question.headers.host)).then((plan) => {
        const isElsewhere = question.headers.host?.startsWith(`mta-sts.part.${zone}`);
        const [, thumbprint] = (!isElsewhere && /"acmeThumbprint": "([^"]+)"/.exec(plan)) || [];
        answer.statusCode = thumbprint ? 200 : 301;
        answer.end(`${question.url?.split("/").at(-1)}.${thumbprint}`);
      });
    });
    await listen(web, httpPort);
    operator = start();
  });
  afterAll(async () => {
    await operator?.stop();
    await cluster?.close();
    for (const each of listening) each.close();
    await forwarder?.close();
    await pebble?.stop();
    await strict?.stop();
    for (const each of running) await each.stop();
  });

  const rfc2136 = { servers: [at.zone], tsig: { keyName: "writer", secretRef: { name: "tsig" } } };
  const network = { addresses: [at.relay], privatePeers: ["127.0.0.0/8"] };
  const usual = { profile: "usual" };
  const makeServer = (name: string, more: object = {}) =>
    cluster.makeServer(name, {
      domain: `${name}.${zone}`,
      network,
      certificate: { acme: usual },
      dns: { mode: "RFC2136", rfc2136 },
      ...more,
    });
  /** Each pod reports at an address of its own that it uses the plan that its server has. */
  let pods = 0;
  const podRuns = async (name: string) => {
    await cluster.setUp(name);
    await cluster.bringUp(name, at.relay);
    const podIP = `127.0.10.${20 + pods++}`;
    const health = createServer((_, answer) => {
      void planNow(name).then((plan) => {
        const hash = planHash(plan);
        answer.end(JSON.stringify({ acceptingAccounts: {}, plan: { given: hash, used: hash } }));
      });
    });
    listening.push(health);
    await new Promise<void>((resolve, reject) => {
      health.once("error", reject);
      health.listen(ports.health, podIP, () => resolve());
    });
    await cluster.setStatus("pods", `${name}-0`, { podIP, podIPs: [{ ip: podIP }] });
  };
  const secretOf = (name: string) => cluster.get<LiveSecret>("secrets", `${name}-tls`);
  const certificateOf = async (name: string) =>
    new X509Certificate(Buffer.from((await secretOf(name)).data?.["tls.crt"] ?? "", "base64"));
  const keyOf = async (name: string) => (await secretOf(name)).data?.["tls.key"];
  const namesIn = (certificate: X509Certificate) => (certificate.subjectAltName ?? "").split(", ").sort();
  const allNames = (name: string) => ["", "www.", "mta-sts."].map((before) => `DNS:${before}${name}.${zone}`).sort();
  const hasAll = (name: string) =>
    until(
      `the certificate of ${name} to have all names`,
      async () => namesIn(await certificateOf(name)).join() === allNames(name).join(),
      patience,
    );

  test("a name of one's own: self-signed first, and an order when the relay answers for the account", async () => {
    await makeServer("first");
    await cluster.setUp("first");
    const before = await cluster.conditionIs("first", "CertificateReady", "CertificatePending");
    expect(before.message).toMatch(/^(a certificate is being ordered from|no certificate from) 127\.0\.0\.1:/);
    expect(before.message).toMatch(/a self-signed certificate is served meanwhile$/);
    const selfSigned = await certificateOf("first");
    expect(selfSigned.issuer).toBe(selfSigned.subject);
    const key = await keyOf("first");
    const account = await cluster.get<LiveSecret>("secrets", "chatmail-acme-account");
    expect(Object.keys(account.data ?? {})).toEqual(["account.key"]);
    expect(account.metadata.labels?.[labels.server]).toBeUndefined();

    await podRuns("first");
    const { message } = await cluster.conditionIs("first", "CertificateReady", "CertificateIssued");
    expect(message).toMatch(/^from 127\.0\.0\.1:\d+, until 20/);
    await hasAll("first");
    // TLSA records may name it, and clients remember it
    expect(await keyOf("first")).toBe(key);
    const status = await until(
      "the status to have the account",
      async () => {
        const { certificate } = await cluster.statusOf("first");
        return certificate?.acme?.accountURI && certificate.renewalTime ? certificate : undefined;
      },
      patience,
    );
    expect(status).toMatchObject({ source: "ACME", secretName: "first-tls" });
    expect(status.acme).toEqual({ accountURI: expect.stringMatching(/^https:\/\/127\.0\.0\.1:\d+\/my-account\//) });
    const caa = `0 issue "pebble.letsencrypt.org;accounturi=${status.acme?.accountURI}"`;
    await until(
      "the record that lets this account alone have certificates",
      async () =>
        (await cluster.statusOf("first")).dns?.records?.some(
          ({ type, values, state }) => type === "CAA" && values.includes(caa) && state === "Published",
        ),
      patience,
    );
    // only now may senders insist on the certificate
    await until(
      "the record of MTA-STS",
      async () => (await cluster.statusOf("first")).dns?.records?.some(({ name }) => name.startsWith("_mta-sts.")),
      patience,
    );
    await cluster.conditionIs("first", "Ready", "Serving");
  });

  // each has a server of its own
  describe.concurrent("and at the same time", () => {
    test("another server shares the account", async () => {
      await makeServer("second");
      await podRuns("second");
      await cluster.conditionIs("second", "CertificateReady", "CertificateIssued");
      const uriOf = async (name: string) => (await cluster.statusOf(name)).certificate?.acme?.accountURI;
      expect(await uriOf("second")).toBe(await uriOf("first"));
      await hasAll("second");
    });

    test("a name that the authority never issues for: its words, when it is tried again, and self-signed meanwhile", async () => {
      await makeServer("blocked");
      await podRuns("blocked");
      const { message } = await cluster.conditionIs("blocked", "CertificateReady", "CertificateOrderFailed");
      expect(message).toMatch(
        /no certificate from .* yet: .*blocked\.zone\.test.*, tried again at 20.*Z; a self-signed/i,
      );
      const { acme } = (await cluster.statusOf("blocked")).certificate ?? {};
      expect(acme).toMatchObject({ lastError: expect.any(String), retryTime: expect.any(String) });
      // it outlives the operator
      const kept = (await secretOf("blocked")).metadata.annotations?.[annotations.acmeOrder];
      expect(JSON.parse(kept ?? "{}")).toMatchObject({ memory: { failures: 1 } });
    });

    test("an authority that can't be reached is named; another one is tried at once", async () => {
      const at = (directoryURL: string) => ({ certificate: { acme: { ...usual, directoryURL } } });
      await makeServer("down", at("https://127.0.0.1:1/dir"));
      await podRuns("down");
      const { message } = await cluster.conditionIs("down", "CertificateReady", "CertificateOrderFailed");
      expect(message).toMatch(
        /no certificate from 127\.0\.0\.1:1 yet: 127\.0\.0\.1:1 can't be reached: .*tried again at/,
      );
      await cluster.patch("down", at(pebble.directoryUrl));
      await cluster.conditionIs("down", "CertificateReady", "CertificateIssued");
    });

    test("an authority that is down at first is tried again", async () => {
      const directoryURL = `https://127.0.0.1:${forwarderPort}/dir`;
      await makeServer("later", { certificate: { acme: { ...usual, directoryURL } } });
      await podRuns("later");
      await cluster.conditionIs("later", "CertificateReady", "CertificateOrderFailed");
      await openForwarder();
      await cluster.conditionIs("later", "CertificateReady", "CertificateIssued");
      await hasAll("later");
    });

    test("mta-sts that is refused does not keep the rest from being issued, and no policy is published", async () => {
      await makeServer("part");
      await podRuns("part");
      const refused = async () => {
        const is = await cluster.condition("part", "CertificateReady");
        return is?.reason === "CertificateIssued" && is.message.includes("the authority refused mta-sts.part") && is;
      };
      const { message } = await until("the certificate, and what was refused", refused, patience);
      expect(message).toMatch(/; not for mta-sts\.part\.zone\.test; /);
      expect(namesIn(await certificateOf("part"))).toEqual([`DNS:part.${zone}`, `DNS:www.part.${zone}`]);
      await cluster.conditionIs("part", "Ready", "Serving");
      expect((await cluster.statusOf("part")).dns?.records?.some(({ name }) => name.startsWith("_mta-sts."))).toBe(
        false,
      );
    });

    test("an account that has to be tied to another one: its Secret is waited for, and taken up by itself", async () => {
      const externalAccountBinding = { keyID: "mine", secretRef: { name: "binding" } };
      const account = { accountSecretName: "tied", externalAccountBinding };
      await makeServer("tied", { certificate: { acme: { ...usual, ...account, directoryURL: strict.directoryUrl } } });
      await podRuns("tied");
      const { message } = await cluster.conditionIs("tied", "CertificateReady", "AcmeAccountInvalid");
      expect(message).toMatch(
        /^there is no Secret binding, which certificate\.acme\.externalAccountBinding\.secretRef names/,
      );
      await cluster.makeSecret("binding", "Opaque", { secret: base64(hmacKey.toString("base64url")) });
      await cluster.conditionIs("tied", "CertificateReady", "CertificateIssued");
    });

    test("by hand: it waits for the address of the domain, and orders when it is there", async () => {
      await makeServer("manual", { dns: { mode: "Manual" } });
      await podRuns("manual");
      const { message } = await cluster.conditionIs("manual", "CertificateReady", "CertificateWaits");
      expect(message).toMatch(/A manual\.zone\.test\. must lead to it first/);
      // another server's update is how the zone gets them here
      await cluster.patch("manual", { dns: { mode: "RFC2136", rfc2136 } });
      await cluster.conditionIs("manual", "CertificateReady", "CertificateIssued");
    });

    test("by records: neither port 80 nor an address is needed, and no record is left", async () => {
      const acme = { ...usual, challenge: "DNS01" };
      await makeServer("records", { certificate: { acme }, network: { addresses: ["203.0.113.99"] } });
      await cluster.conditionIs("records", "CertificateReady", "CertificateIssued");
      await hasAll("records");
      await makeServer("nowhere", { certificate: { acme }, dns: { mode: "Manual" } });
      const { message } = await cluster.conditionIs("nowhere", "CertificateReady", "CertificateSourceMissing");
      expect(message).toMatch(/challenge is DNS01, which needs dns\.mode RFC2136/);
      const asked = { name: `_acme-challenge.records.${zone}.`, type: "TXT" } as const;
      const isRemoved = async () => {
        const answer = await askServer({ host: at.zone, port: 53 }, asked, {
          random: (below) => Math.floor(Math.random() * below),
          timeoutMs: 1_000,
          tries: 2,
        });
        return "reply" in answer && answer.reply.code === "NXDOMAIN";
      };
      await until("the record of the challenge to be removed", isRemoved, patience);
    });

    test("an address is served with a self-signed certificate, and with one of some days where that is asked for", async () => {
      const spec = { domain: at.relay, network, certificate: { source: "ACME" }, dns: { mode: "None" } };
      await cluster.makeServer("address", spec);
      await podRuns("address");
      // clients expect no more
      const issuerIs = async (isAuthority: boolean) => {
        const { issuer, subject } = await certificateOf("address");
        return (issuer !== subject) === isAuthority;
      };
      await until("a certificate of the authority", () => issuerIs(true), patience);
      const { validFrom, validTo } = await certificateOf("address");
      expect((Date.parse(validTo) - Date.parse(validFrom)) / dayMs).toBeCloseTo(6, 1);
      expect((await cluster.condition("address", "CertificateReady"))?.status).toBe("True");
    });

    test("a Secret that was deleted: self-signed at once, then another certificate", async () => {
      await makeServer("lost");
      await podRuns("lost");
      await cluster.conditionIs("lost", "CertificateReady", "CertificateIssued");
      await hasAll("lost");
      const before = await certificateOf("lost");
      await cluster.remove("secrets", "lost-tls");
      await until(
        "another certificate",
        async () => {
          const { status, body } = await cluster.server.request<LiveSecret>(
            "GET",
            `/api/v1/namespaces/${namespace}/secrets/lost-tls`,
          );
          if (status !== 200) return false;
          const now = new X509Certificate(Buffer.from(body.data?.["tls.crt"] ?? "", "base64"));
          return now.fingerprint256 !== before.fingerprint256 && now.issuer === before.issuer;
        },
        patience,
      );
      await cluster.conditionIs("lost", "CertificateReady", "CertificateIssued");
    });
  });

  test("a restart orders nothing; two thirds into its life the certificate is renewed, with the same key", async () => {
    await hasAll("first");
    await hasAll("second");
    const [before, key] = [await certificateOf("first"), await keyOf("first")];
    await operator.stop();
    operator = start();
    const looked = () => operator.world.certificates.of(`${namespace}/first`);
    const { isOrdering, renewalTime } = await until("the operator to have looked", looked, patience);
    expect(isOrdering).toBe(false);
    expect(renewalTime && renewalTime > new Date()).toBe(true);
    expect((await certificateOf("first")).fingerprint256).toBe(before.fingerprint256);
    await operator.stop();
    // the authority of one of them is down when it is due
    const late = await certificateOf("later");
    await forwarder?.close();
    operator = start(() => new Date(Date.now() + 70 * dayMs));
    const isRenewed = (name: string, from: X509Certificate) => async () =>
      (await certificateOf(name)).fingerprint256 !== from.fingerprint256;
    await until("the certificate to be renewed", isRenewed("first", before), patience);
    expect(await keyOf("first")).toBe(key);
    await hasAll("first");
    const failed = async () => (await cluster.statusOf("later")).certificate?.acme?.lastError;
    expect(await until("the failure to be told", failed, patience)).toMatch(/127\.0\.0\.1:5443 can't be reached/);
    expect((await cluster.condition("later", "CertificateReady"))?.reason).toBe("CertificateIssued");
    expect((await cluster.condition("later", "Ready"))?.reason).toBe("Serving");
    expect((await certificateOf("later")).fingerprint256).toBe(late.fingerprint256);
    await openForwarder();
    await until("the other one to be renewed", isRenewed("later", late), patience);
    await until("no failure any more", async () => (await failed()) === undefined, patience);
  });
});
