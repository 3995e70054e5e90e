/**
 * `network.web.mode: Edge`: a proxy that has the ports 80 and 443 of the node passes them on to the
 * relay, and says whose connections they are. The other ports are the relay's own.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ports } from "../../src/mail/ports.ts";
import { type Edge, edgeIsMissing, startEdge, throughEdge } from "../helpers/edge.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { LineSocket } from "../helpers/line-socket.ts";
import { randomName } from "../helpers/messages.ts";
import { proxyV2 } from "../helpers/proxy-header.ts";
import { type RelayPod, startRelayPod } from "../helpers/relay-pod.ts";
import { allPorts, statesOfPorts } from "../helpers/served-certificates.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";

const missing = edgeIsMissing();
if (missing !== undefined) console.warn(`SKIPPED: a relay behind an edge. ${missing}`);

const domain = "_edged.test";
const client = "203.0.113.66";
const password = "correct horse";
const networkOf = (trusted: string) => ({
  exposure: "HostPort" as const,
  web: { mode: "Edge" as const, trustedNetworks: [trusted] },
});

describe.skipIf(missing !== undefined)("a relay behind an edge", () => {
  let pod: RelayPod;
  let edge: Edge;
  const user = `${randomName(9)}@${domain}`;

  beforeAll(async () => {
    // the lab's own network, from which the edge connects
    pod = await startRelayPod({ domain, spec: { network: networkOf("198.51.100.0/24") } });
    edge = await startEdge({ host: pod.host, domain, client });
  });
  afterAll(async () => {
    await edge?.stop();
    await pod?.remove();
  });

  const whoIsIn = () => throughEdge(edge, pod).whoIsIn(user, password);

  test("its pages and both mail protocols come through port 443", async () => {
    const { greeting } = throughEdge(edge, pod);
    expect(await greeting("http/1.1")).toBe("HTTP/1.1 200 OK");
    expect(await greeting("smtp")).toMatch(/^220 /);
    expect(await greeting("imap")).toMatch(/^[*] OK/);
  });

  test("a client is whom the edge names", async () => {
    expect(await whoIsIn()).toContain(client);
  });

  test("port 80 is passed on as HTTP, without a header", async () => {
    expect(await throughEdge(edge, pod).plain("/some")).toMatch(/^HTTP\/1[.]1 301 /);
  });

  test("the mail ports are the relay's own, and take no header", async () => {
    await (await SmtpClient.ready(pod.at(ports.submissions))).quit();
    await (await SmtpClient.ready(pod.at(ports.smtp))).quit();
    const imap = await ImapClient.open(pod.at(ports.imaps));
    expect(imap.greeting).toMatch(/^[*] OK/);
    imap.destroy();
    const named = { ...pod.at(ports.imaps), preamble: proxyV2(client) };
    await expect(ImapClient.open(named)).rejects.toThrow();
  });

  test("whoever passes the edge by is sent away at port 443", async () => {
    await expect(LineSocket.open(pod.at(ports.https), {})).rejects.toThrow();
  });

  test("the operator is told which certificate each port presents", async () => {
    const smtp = await SmtpClient.ready(pod.at(ports.submissions));
    const { sha256 } = smtp;
    await smtp.quit();
    const wanted = { host: pod.host, domain, sha256, proxyProtocol: false };
    expect(await statesOfPorts({ ...wanted, edge: true })).toEqual(allPorts("Current"));
    expect(await statesOfPorts(wanted)).toEqual({ ...allPorts("Current"), 443: "Unreachable" });
  });

  // the last: the relay is another one then
  test("from a network that is not trusted, a name is not believed", async () => {
    await pod.change({ network: networkOf("192.0.2.0/28") });
    const who = await whoIsIn();
    expect(who).toContain(user);
    expect(who).not.toContain(client);
  });
});
