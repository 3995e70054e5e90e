/**
 * The operator against a real API server, and pods whose ports present one certificate or another:
 * what the status says of them.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { certificateNames, type KeyPair, makeSelfSigned } from "../../src/certificates/self-signed.ts";
import { apiServerIsMissing } from "../helpers/api-server.ts";
import { makeAuthority } from "../helpers/authorities.ts";
import { base64, OperatorCluster, type RunningOperator } from "../helpers/operator-cluster.ts";
import { TlsPorts } from "../helpers/tls-ports.ts";
import { patienceMs, until } from "../helpers/until.ts";

const missing = apiServerIsMissing();
if (missing) console.warn(`skipped: ${missing}`);

describe.skipIf(missing !== undefined)("with a real API server", () => {
  let cluster: OperatorCluster;
  let operator: RunningOperator;
  const running: TlsPorts[] = [];

  beforeAll(async () => {
    cluster = await OperatorCluster.open();
    operator = cluster.startOperator();
  });
  afterAll(async () => {
    await operator?.stop();
    await cluster?.close();
    for (const each of running) await each.stop();
  });

  /** A certificate that ends after so many days, of the 90 that it was made for. */
  const pairFor = async (domain: string, daysLeft: number) =>
    (await makeAuthority("Own")).issue(certificateNames(domain), { days: [daysLeft - 90, daysLeft] });
  const tlsData = ({ certificatePem, keyPem }: KeyPair) => ({
    "tls.crt": base64(certificatePem),
    "tls.key": base64(keyPem),
  });
  const portsAt = async (address: string, pair: KeyPair) => {
    const ports = await TlsPorts.open(address, pair);
    running.push(ports);
    return ports;
  };
  const podIsAt = async (name: string, ip: string) => {
    await cluster.setUp(name);
    await cluster.bringUp(name);
    await cluster.setStatus("pods", `${name}-0`, { podIP: ip, podIPs: [{ ip }] });
  };
  const served = async (name: string) =>
    Object.fromEntries(
      ((await cluster.statusOf(name)).certificate?.served ?? []).map(({ port, state }) => [port, state]),
    );
  const says = (name: string, reason: string) => cluster.conditionIs(name, "CertificateServed", reason);
  const all = (state: string) => Object.fromEntries([25, 143, 443, 465, 587, 993].map((port) => [port, state]));

  test("each port is compared with the Secret, with a name and without; what is wrong is named until it is right", async () => {
    const domain = "_first.test";
    await cluster.makeServer("first", { domain });
    await cluster.setUp("first");
    const secret = await cluster.get<{ data: Record<string, string> }>("secrets", "first-tls");
    const textOf = (key: string) => Buffer.from(secret.data[key] ?? "", "base64").toString();
    const right = { certificatePem: textOf("tls.crt"), keyPem: textOf("tls.key") };
    const wrong = await makeSelfSigned(domain, new Date());
    const ports = await portsAt("127.0.13.1", right);
    ports.present(wrong, { port: 587, unnamed: true });
    await cluster.conditionIs("first", "CertificateServed", "CertificateNotChecked");
    await podIsAt("first", "127.0.13.1");

    const { status, message } = await says("first", "CertificateOutdated");
    expect(status).toBe("False");
    expect(message).toMatch(
      /^port 587 presents another certificate than [0-9a-f]{64} \(without a name: [0-9a-f]{64}\)$/,
    );
    expect(await served("first")).toEqual({ ...all("Current"), 587: "Outdated" });
    expect((await cluster.condition("first", "Ready"))?.reason).not.toBe("CertificateOutdated");

    ports.present(right, { port: 587 });
    const current = await says("first", "CertificateCurrent");
    expect(current).toMatchObject({ status: "True" });
    expect(await served("first")).toEqual(all("Current"));
    const [[key, end] = []] = [...operator.world.served.ends()];
    expect([key, end?.getUTCFullYear()]).toEqual(["chatmail/first", new Date().getUTCFullYear() + 100]);
  });

  test("a port that does not answer is unreachable, and a pod that is down is asked nothing", async () => {
    const domain = "_second.test";
    const pair = await pairFor(domain, 60);
    await cluster.makeSecret("second-cert", "kubernetes.io/tls", tlsData(pair));
    await cluster.makeServer("second", { domain, certificate: { source: "Secret", secret: { name: "second-cert" } } });
    const ports = await portsAt("127.0.13.2", pair);
    await ports.close(143);
    await podIsAt("second", "127.0.13.2");
    const { status, message } = await says("second", "CertificateUnreachable");
    expect(status).toBe("Unknown");
    expect(message).toMatch(/^port 143 does not answer with TLS \(.*ECONNREFUSED/);
    expect(await served("second")).toEqual({ ...all("Current"), 143: "Unreachable" });
    await ports.listen(143);
    await says("second", "CertificateCurrent");
    await cluster.setStatus("pods", "second-0", { conditions: [{ type: "Ready", status: "False" }] });
    expect((await says("second", "CertificateNotChecked")).status).toBe("Unknown");
    expect(await served("second")).toEqual({});
  });

  test("a renewal is noticed at once; one that does not come is told of twice; a Secret that is gone changes nothing of what is served", async () => {
    const domain = "_third.test";
    const [old, late] = [await pairFor(domain, 20), await pairFor(domain, 6)];
    await cluster.makeSecret("third-cert", "kubernetes.io/tls", tlsData(old));
    await cluster.makeServer("third", { domain, certificate: { source: "Secret", secret: { name: "third-cert" } } });
    const ports = await portsAt("127.0.13.3", old);
    await podIsAt("third", "127.0.13.3");
    expect((await says("third", "CertificateEnding")).status).toBe("True");
    // a Secret with another one, which the pod has not got yet
    await cluster.change("secrets", "third-cert", { data: tlsData(late) });
    await says("third", "CertificateOutdated");
    ports.present(late);
    expect((await says("third", "CertificateEndsSoon")).status).toBe("False");
    const events = await cluster.server.request<{ items: { reason: string; regarding: { name: string } }[] }>(
      "GET",
      "/apis/events.k8s.io/v1/namespaces/chatmail/events",
    );
    const told = () =>
      events.body.items.filter(({ regarding }) => regarding.name === "third").map(({ reason }) => reason);
    expect(told()).toEqual(expect.arrayContaining(["CertificateEnding"]));

    const { sha256 } = (await cluster.statusOf("third")).certificate ?? {};
    await cluster.remove("secrets", "third-cert");
    const { message } = await cluster.conditionIs("third", "CertificateReady", "CertificateMissing");
    expect(message).toMatch(
      /^there is no Secret third-cert in namespace chatmail\. The one before is served, until \d{4}-\d\d-\d\d$/,
    );
    await says("third", "CertificateEndsSoon");
    expect(await served("third")).toEqual(all("Current"));
    expect((await cluster.statusOf("third")).certificate?.sha256).toBe(sha256);
    // what another pod would start with
    const kept = await cluster.get<{ data: object }>("secrets", "third-tls-last");
    expect(kept.data).toEqual(tlsData(late));
    // one that is broken takes nothing away either
    await cluster.makeSecret("third-cert", "kubernetes.io/tls", {
      ...tlsData(old),
      "tls.key": tlsData(late)["tls.key"],
    });
    await cluster.conditionIs("third", "CertificateReady", "CertificateInvalid");
    expect((await cluster.statusOf("third")).certificate?.sha256).toBe(sha256);
    expect((await cluster.get<{ data: object }>("secrets", "third-tls-last")).data).toEqual(tlsData(late));
  });

  test("when all is right nothing is written, and no port is asked again soon", async () => {
    await cluster.dnsIsKnown("first");
    const before = await cluster.versions("first");
    const [ports] = running;
    const taken = ports?.taken;
    // another server's change comes and goes meanwhile
    await cluster.makeServer("fourth", { domain: "_fourth.test" });
    await cluster.setUp("fourth");
    await until("the server to be judged", async () => (await cluster.condition("fourth", "Ready")) !== undefined, {
      patienceMs: patienceMs.client,
    });
    expect(await cluster.versions("first")).toEqual(before);
    expect(ports?.taken).toBe(taken);
  });
});
