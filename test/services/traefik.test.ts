/**
 * Traefik itself, as k3s runs it, has the ports 80 and 443: what the operator tells it brings a
 * real relay's clients there, and leaves other websites alone.
 */
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { createServer, get, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ChatmailServerSpec } from "../../src/api/chatmail-server.ts";
import { AcmeClient } from "../../src/certificates/acme/client.ts";
import { firstCertificate } from "../../src/certificates/acme/renewal.ts";
import { planOf, planText } from "../../src/pod/plan-of.ts";
import { runOrder } from "../helpers/acme-order.ts";
import { apiServerIsMissing } from "../helpers/api-server.ts";
import { throughEdge } from "../helpers/edge.ts";
import { askHttps } from "../helpers/https.ts";
import { LineSocket } from "../helpers/line-socket.ts";
import { randomName } from "../helpers/messages.ts";
import { endpointsOf, namespace, OperatorCluster, type RunningOperator } from "../helpers/operator-cluster.ts";
import { type Pebble, pebbleIsMissing, startPebble } from "../helpers/pebble.ts";
import { type RelayPod, startRelayPod } from "../helpers/relay-pod.ts";
import { installTraefikCrds, startTraefik, type Traefik, traefikIsMissing } from "../helpers/traefik.ts";
import { patienceMs, until } from "../helpers/until.ts";
import { nameServer, publishZone, removeZone } from "../lab/names.ts";
import { addresses } from "../lab/place.ts";

const missing = apiServerIsMissing() ?? traefikIsMissing() ?? pebbleIsMissing();
if (missing) console.warn(`skipped: ${missing}`);

const domain = "edged.test";
const names = [domain, `www.${domain}`, `mta-sts.${domain}`];
const site = "site.test";
const password = "correct horse";
const patience = { patienceMs: patienceMs.client };
/** Time in which a client of Traefik has to say something. */
const readTimeout = "--entryPoints.websecure.transport.respondingTimeouts.readTimeout=2s";

describe.skipIf(missing !== undefined)("a relay behind Traefik", () => {
  let pod: RelayPod;
  let spec: ChatmailServerSpec;
  let cluster: OperatorCluster;
  let operator: RunningOperator;
  let website: Server;
  let pebble: Pebble;
  const running: Traefik[] = [];
  let traefik: Traefik;
  const user = `${randomName(9)}@${domain}`;

  /** Resolves when it knows the routes. */
  const start = async (...flags: string[]) => {
    const started = await startTraefik(cluster.server, flags);
    running.push(started);
    const knows = async () => (await askHttps(started.https, { path: "/", site: domain })).status === 200;
    await until("Traefik to know the route", knows, patience).catch((cause) => {
      throw new Error(`${String(cause)}: ${started.log()}`, { cause });
    });
    return started;
  };
  /** The body that a host has at port 80. */
  const plainPage = async ({ http }: Traefik, host: string, path = "/") => {
    const asking = get({ ...http, path, headers: { host }, agent: false });
    const [answer] = await once(asking, "response");
    return { status: answer.statusCode as number, body: await text(answer) };
  };

  beforeAll(async () => {
    const network = {
      exposure: "HostPort" as const,
      // the network from which Traefik connects, as k3s's pods are
      web: { mode: "Edge" as const, trustedNetworks: [addresses.subnet] },
    };
    pod = await startRelayPod({ domain, spec: { network } });
    spec = await pod.change({ network });
    website = createServer(({ headers }, answer) => answer.end(JSON.stringify(headers)));
    website.listen(0, addresses.gateway);
    await once(website, "listening");
    await publishZone(domain, ["@", "www", "mta-sts"].map((name) => `${name} A ${addresses.gateway}`).join("\n"));

    cluster = await OperatorCluster.open();
    await installTraefikCrds(cluster.server);
    operator = cluster.startOperator();
    const certificate = { source: "SelfSigned" };
    await cluster.makeServer("nine", { domain, certificate, dns: { mode: "None" }, network });
    await cluster.setUp("nine");
    await cluster.leadsTo("nine", pod.host);
    await cluster.make("services", {
      metadata: { name: "site", namespace },
      spec: { ports: [{ name: "http", port: 80 }] },
    });
    const { port } = website.address() as AddressInfo;
    await cluster.make("endpointslices", endpointsOf("site", addresses.gateway, [{ name: "http", port }]));
    const backend = { service: { name: "site", port: { name: "http" } } };
    await cluster.make("ingresses", {
      metadata: { name: "site", namespace },
      spec: { rules: [{ host: site, http: { paths: [{ path: "/", pathType: "Prefix", backend }] } }] },
    });
    traefik = await start(readTimeout);
    pebble = await startPebble({ nameServer: `${nameServer}:53`, httpPort: traefik.http.port });
  });
  afterAll(async () => {
    await pebble?.stop();
    for (const each of running) await each.stop();
    await operator?.stop();
    await cluster?.close();
    website?.close();
    await removeZone(domain);
    await pod?.remove();
  });

  test("its pages and both mail protocols come through port 443", async () => {
    const { greeting } = throughEdge(traefik, pod);
    expect(await greeting("http/1.1")).toBe("HTTP/1.1 200 OK");
    expect(await greeting("smtp")).toMatch(/^220 /);
    expect(await greeting("imap")).toMatch(/^[*] OK/);
  });

  test.each(["127.0.12.7", addresses.gateway6])("a client keeps its own address, %s", async (from) => {
    const host = from === addresses.gateway6 ? from : "127.0.0.1";
    const through = throughEdge({ ...traefik, https: { ...traefik.https, host } }, pod);
    expect(await through.whoIsIn(user, password, from)).toContain(from);
  });

  test("a session that is idle lasts, while a connection that says nothing is closed", async () => {
    const session = await throughEdge(traefik, pod).imap(user, password);
    const silent = await LineSocket.open(traefik.https, undefined);
    await silent.closed();
    expect(await session.command("b", "NOOP")).toMatch(/^b OK/);
    session.socket.destroy();
  });

  test("another website on the same Traefik stays as it is, and what nobody has is not the relay's", async () => {
    const page = await askHttps(traefik.https, { path: "/", site });
    expect(JSON.parse(page.body)).toMatchObject({ "x-forwarded-host": site, "x-forwarded-proto": "https" });
    expect(JSON.parse((await plainPage(traefik, site)).body)).toMatchObject({ "x-forwarded-host": site });
    for (const host of ["other.test", `more.${domain}`]) {
      expect(await askHttps(traefik.https, { path: "/", site: host })).toMatchObject({ status: 404 });
      expect(await plainPage(traefik, host)).toMatchObject({ status: 404 });
    }
  });

  describe("a certificate by HTTP-01", () => {
    const order = async (at: Traefik) => {
      await pebble.stop();
      pebble = await startPebble({ nameServer: `${nameServer}:53`, httpPort: at.http.port });
      const { privateKey: key } = generateKeyPairSync("ec", { namedCurve: "P-256" });
      const { directoryUrl, authority: authorities } = pebble;
      const client = new AcmeClient({ directoryUrl, authorities, key, email: "admin@example.org" });
      await pod.usePlan(planText(planOf(spec, { acmeThumbprint: client.thumbprint })));
      return runOrder(client, { domain, optional: names.slice(1) });
    };
    const namesIn = (pem: string) => firstCertificate(pem)?.subjectAltName?.split(", ").sort();
    const all = names.map((name) => `DNS:${name}`).sort();
    /** As owners of websites have it: Traefik orders certificates for them itself. */
    const ownResolver = [
      "--certificatesResolvers.own.acme.httpChallenge.entryPoint=web",
      "--certificatesResolvers.own.acme.storage=own.json",
    ];

    test("is issued for all names, and other paths lead to the domain", async () => {
      const { certificatePem } = await order(traefik);
      expect(namesIn(certificatePem)).toEqual(all);
      expect(await throughEdge(traefik, pod).plain("/some")).toMatch(/^HTTP\/1[.]1 301 /);
    });

    test("is issued where Traefik sends all of port 80 to 443", async () => {
      const redirects = await start("--entryPoints.web.http.redirections.entryPoint.to=websecure");
      const { certificatePem, order: ended } = await order(redirects);
      expect(ended.memory.lastError).toBeUndefined();
      expect(namesIn(certificatePem)).toEqual(all);
    });

    test("is not issued where Traefik answers all challenges itself, unless it is told otherwise", async () => {
      const { order: ended } = await order(await start(...ownResolver));
      expect(ended.memory.lastError).toMatch(/404/);
      const { certificatePem } = await order(await start(...ownResolver, "--entryPoints.web.allowACMEByPass=true"));
      expect(namesIn(certificatePem)).toEqual(all);
    });
  });
});
